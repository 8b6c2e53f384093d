//! Checks that a tuple is one decision.

use std::time::Duration;

use axum::{Router, routing::get};
use traffik::{Throttled, strategy::SlidingWindowCounter};

use super::{
    app::{HERE, throttle, traffik},
    server::Server,
};

throttle!(Burst, "burst", "2/min");
throttle!(Sustained, "sustained", "3/hour", traffik::Settings::new().strategy(SlidingWindowCounter));
throttle!(Two, "two", "9/min");
throttle!(Three, "three", "9/min");
throttle!(Four, "four", "9/min");
throttle!(Five, "five", "9/min");
throttle!(Six, "six", "9/min");
throttle!(Last, "last", "1/min");
throttle!(Seven, "seven", "9/min");
throttle!(Eight, "eight", "9/min");
throttle!(Nine, "nine", "9/min");
throttle!(Ten, "ten", "9/min");
throttle!(Eleven, "eleven", "9/min");
throttle!(Twelve, "twelve", "9/min");
throttle!(Thirteen, "thirteen", "9/min");
throttle!(Fourteen, "fourteen", "9/min");

#[tokio::test]
async fn tuple_charges_both_limits_or_neither() {
    let (traffik, clock) = traffik();
    let handler = |permit: Throttled<(Burst, Sustained)>| async move {
        let [burst, sustained] = [permit.of::<Burst>().tightest().clone(), permit.of::<Sustained>().tightest().clone()];
        assert!(permit.limits().of::<Last>().is_none());
        format!("{} and {}, so {}", burst.remaining(), sustained.remaining(), permit.tightest().uid())
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.body, "1 and 2, so burst");
    assert_eq!(server.get("/").await.body, "0 and 1, so burst");
    for _ in 0..5 {
        let refused = server.get("/").await;
        assert_eq!((refused.status, refused.problem("violated-policies")[0].as_str()), (429, Some("burst")));
        let state = refused.state().unwrap();
        assert!(state.starts_with(r#""burst";r=0;t=60, "sustained";r=1;t="#), "{state}");
    }

    clock.advance(Duration::from_secs(60));
    assert_eq!(server.get("/").await.body, "1 and 0, so sustained");
    for _ in 0..5 {
        let refused = server.get("/").await;
        assert_eq!((refused.status, refused.problem("violated-policies")[0].as_str()), (429, Some("sustained")));
        assert_eq!(traffik.limiter::<Burst>(HERE).peek().await.unwrap().tightest().remaining(), 1);
    }
}

#[tokio::test]
async fn tuple_of_sixteen_is_one_decision() {
    type All = (
        Burst,
        Sustained,
        Two,
        Three,
        Four,
        Five,
        Six,
        Seven,
        Eight,
        Nine,
        Ten,
        Eleven,
        Twelve,
        Thirteen,
        Fourteen,
        Last,
    );

    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|permit: Throttled<All>| async move { permit.limits().iter().count().to_string() }))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.body, "16");
    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.problem("violated-policies")), (429, serde_json::json!(["last"])));
    let remaining: Vec<_> =
        traffik.limiter::<All>(HERE).peek().await.unwrap().iter().map(traffik::Limit::remaining).collect();
    assert_eq!(remaining, [1, 2, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 0]);
}

#[tokio::test]
async fn throttle_has_one_limit_in_all_tuples() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/alone", get(|_: Throttled<Burst>| async {}))
        .route("/first", get(|_: Throttled<(Burst, Two)>| async {}))
        .route("/last", get(|_: Throttled<(Three, Burst)>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/alone").await.status, 200);
    assert_eq!(server.get("/first").await.status, 200);
    assert_eq!(server.get("/last").await.status, 429);
    assert_eq!(traffik.limiter::<Three>(HERE).peek().await.unwrap().tightest().remaining(), 9);
}
