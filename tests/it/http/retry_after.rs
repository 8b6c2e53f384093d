//! The `Retry-After` of refusals.

use std::time::Duration;

use axum::{Router, routing::get};
use serde_json::json;
use traffik::{Settings, Throttled};

use super::{
    app::{throttle, traffik},
    server::Server,
};

throttle!(Half, "half", "1/500ms");
throttle!(Minute, "minute", "1/min");
throttle!(Hour, "hour", "2/hour");
throttle!(Large, "large", "5/min", Settings::new().cost(6));

#[tokio::test]
async fn retry_after_is_at_least_a_second() {
    let (traffik, clock) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Half>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.get("/").await.status, 200);

    for waited in [0, 250_000, 249_999] {
        clock.advance(Duration::from_micros(waited));
        let refused = server.get("/").await;
        assert_eq!((refused.status, refused.retry_after()), (429, Some("1")));
        assert_eq!(refused.problem("detail"), r#""half" allows 1 request per 500ms; try again in 1s"#);
    }
    clock.advance(Duration::from_micros(1));
    assert_eq!(server.get("/").await.status, 200);
}

#[tokio::test]
async fn retry_after_is_rounded_up_and_a_client_that_waits_is_admitted() {
    let (traffik, clock) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Minute>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    clock.advance(Duration::from_micros(17_999_999));
    assert_eq!(server.get("/").await.status, 200);

    let refused = server.get("/").await;
    assert_eq!(refused.retry_after(), Some("43"), "the wait is 42.000001 s");
    clock.advance(Duration::from_secs(42));
    assert_eq!(server.get("/").await.status, 429, "a truncated value would be too short");
    clock.advance(Duration::from_secs(1));
    assert_eq!(server.get("/").await.status, 200);
}

#[tokio::test]
async fn retry_after_is_the_longest_wait_of_the_refusing_limits() {
    let (traffik, clock) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<(Minute, Hour)>| async {}))
        .route("/turned", get(|_: Throttled<(Hour, Minute)>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.status, 200);
    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.retry_after()), (429, Some("60")), "only one limit refuses");
    assert_eq!(refused.problem("violated-policies"), json!(["minute"]));

    clock.advance(Duration::from_secs(60));
    assert_eq!(server.get("/").await.status, 200);
    for (path, violated) in [("/", json!(["minute", "hour"])), ("/turned", json!(["hour", "minute"]))] {
        let refused = server.get(path).await;
        assert_eq!((refused.status, refused.retry_after()), (429, Some("3540")));
        assert_eq!(refused.problem("violated-policies"), violated);
        assert_eq!(refused.problem("detail"), r#""hour" allows 2 requests per hour; try again in 59m"#);
    }
}

#[tokio::test]
async fn request_above_the_limit_has_no_retry_after() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Large>| async {}))
        .route("/both", get(|_: Throttled<(Minute, Large)>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.retry_after()), (429, None));
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    assert_eq!(
        refused.problem("detail"),
        r#""large" allows 5 requests per minute; a request that costs 6 is never admitted"#
    );

    let _ = traffik.limiter::<Minute>(super::app::HERE).check().await.unwrap();
    let both = server.get("/both").await;
    assert_eq!((both.status, both.retry_after()), (429, None), "the wait of the other limit does not help");
    assert_eq!(both.problem("violated-policies"), json!(["minute", "large"]));
    assert_eq!(both.problem("detail"), refused.problem("detail"));
}
