//! Checks that several throttles on one handler are one decision.

use axum::{Router, routing::get};
use traffik::{Throttle, throttled, throttled as held_to};

use crate::server::{Server, field};

#[derive(Throttle)]
#[limit("together:burst", "2/min")]
struct Burst;

#[derive(Throttle)]
#[limit("together:sustained", "3/hour")]
struct Sustained;

#[throttled(Burst, Sustained)]
async fn types() {}

mod hidden {
    pub(super) use super::Burst;
}

mod dry_run {
    pub(super) use super::Sustained;
}

#[throttled(hidden::Burst, dry_run::Sustained)]
async fn in_modules() {}

#[throttled("together:stacked:burst", "2/min")]
#[doc = "Between them."]
#[traffik::throttled("together:stacked:sustained", "3/hour")]
async fn stacked() {}

#[throttled("together:pairs:burst", "2/min", cost = 1, "together:pairs:sustained", "3/hour")]
async fn pairs() {}

#[throttled("together:mixed:burst", "2/min")]
#[throttled(Sustained)]
async fn mixed() {}

// The outer attribute does not recognize the inner one under this name.
#[throttled("together:renamed:burst", "2/min")]
#[held_to("together:renamed:sustained", "3/hour")]
async fn renamed() {}

#[held_to("together:absent:burst", "2/min")]
#[cfg_attr(all(), held_to("together:absent:sustained", "3/hour"))]
#[cfg_attr(any(), held_to("together:absent:never", "1/hour"))]
async fn conditional() {}

#[rustfmt::skip]
#[throttled("together:1", "9/min", "together:2", "9/min", "together:3", "9/min", "together:4", "9/min")]
#[throttled("together:5", "9/min", "together:6", "9/min", "together:7", "9/min", "together:8", "9/min")]
#[throttled("together:9", "9/min", "together:10", "9/min", "together:11", "9/min", "together:12", "9/min")]
#[throttled("together:13", "9/min", "together:14", "9/min", "together:15", "9/min", "together:16", "1/min")]
async fn sixteen() {}

#[tokio::test]
async fn several_throttles_are_one_decision_in_written_order() {
    let routes = || {
        Router::new()
            .route("/types", get(types))
            .route("/modules", get(in_modules))
            .route("/stacked", get(stacked))
            .route("/pairs", get(pairs))
            .route("/mixed", get(mixed))
            .route("/renamed", get(renamed))
            .route("/absent", get(conditional))
    };
    for form in ["types", "modules", "stacked", "pairs", "mixed", "renamed", "absent"] {
        let server = Server::start(routes()).await;
        let path = format!("/{form}");
        assert_eq!(server.statuses(&path, 2).await, [200, 200], "{form}");

        let refused = server.get(&path).await;
        assert_eq!(refused.status(), 429, "{form}");
        let limits = field(&refused, "ratelimit");
        let (first, second) = limits.split_once(", ").unwrap();
        assert!(first.contains("burst\";r=0;"), "{form}: {limits}");
        // The first throttle refused, so the second was not charged a third time.
        assert!(second.contains("ustained\";r=1;"), "{form}: {limits}");
    }
}

#[tokio::test]
async fn sixteen_throttles_are_one_decision() {
    let server = Server::start(Router::new().route("/", get(sixteen))).await;
    assert_eq!(server.statuses("/", 2).await, [200, 429]);
}
