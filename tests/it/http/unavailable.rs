//! A backend that does not answer.

use std::time::Duration;

use axum::{Router, routing::get};
use serde_json::json;
use tests::until_idle;
use traffik::{ThrottleRejection, Throttled, Traffik, TraffikBuilder, backend::MemoryBackend, test::ManualClock};

use super::{
    app::{HERE, throttle, traffik},
    backends::Unsteady,
    server::Server,
};

throttle!(Search, "search", "5/min");
throttle!(Site, "site", "100/hour");

const REDUCED: &str = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

#[expect(clippy::unwrap_used, reason = "a test without an app fails")]
fn unsteady() -> (Unsteady, Traffik, ManualClock) {
    let clock = ManualClock::new();
    let backend = Unsteady::new(MemoryBackend::with_clock("test", clock.clone()));
    let traffik = Traffik::new(backend.clone()).unwrap();
    (backend, traffik, clock)
}

#[tokio::test]
async fn failed_backend_is_a_503_without_details() {
    let (backend, traffik, _) = unsteady();
    let app = Router::new()
        .route("/", get(|_: Throttled<(Search, Site)>| async {}))
        .route("/health", get(|| async { "fine" }))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    backend.fails();

    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.retry_after()), (503, Some("1")));
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!((reply.policy(), reply.state()), (None, None), "the limit status is unknown");
    let body = json!({
        "type": REDUCED,
        "title": "Service Unavailable",
        "status": 503,
        "detail": "the limits of this request cannot be checked at present",
        "violated-policies": ["search", "site"],
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&reply.body).unwrap(), body);
    assert_eq!(server.get("/health").await.status, 200, "an unthrottled route does not need the backend");

    backend.answers();
    assert_eq!(server.get("/").await.state(), Some(r#""search";r=4;t=60, "site";r=99;t=3600"#));
}

#[tokio::test]
async fn hanging_backend_is_a_503_after_the_timeout() {
    let (backend, _, clock) = unsteady();
    let traffik = Traffik::builder(backend.clone()).backend_timeout(Duration::from_millis(50)).build().unwrap();
    let app = Router::new().route("/", get(|_: Throttled<Search>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    backend.hangs();

    let request = tokio::spawn(async move { server.get("/").await });
    backend.asked(1).await;
    clock.advance(Duration::from_millis(49));
    until_idle().await;
    assert!(!request.is_finished());
    clock.advance(Duration::from_millis(1));

    let reply = request.await.unwrap();
    assert_eq!((reply.status, reply.retry_after()), (503, Some("1")));
    assert_eq!(reply.problem("type"), REDUCED);
}

#[tokio::test]
async fn handler_may_continue_without_a_decision() {
    let (backend, traffik, _) = unsteady();
    let handler = |permit: Result<Throttled<Search>, ThrottleRejection>| async {
        match permit {
            Err(ThrottleRejection::Unavailable(rejection)) => {
                Ok(format!("unlimited: {:?}", rejection.uids().collect::<Vec<_>>()))
            }
            Err(rejection) => Err(rejection),
            Ok(_) => Ok("limited".to_owned()),
        }
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.body, "limited");
    backend.fails();
    assert_eq!(server.get("/").await.body, r#"unlimited: ["search"]"#);
}

#[tokio::test]
async fn earlier_charges_are_refunded_if_the_backend_still_answers() {
    let (backend, traffik, clock) = unsteady();
    let hang = {
        let backend = backend.clone();
        axum::middleware::from_fn(move |request: axum::extract::Request, next: axum::middleware::Next| {
            backend.hangs();
            next.run(request)
        })
    };
    let app = Router::new()
        .route("/", get(|_: Throttled<Search>| async {}))
        .layer(hang)
        .layer(traffik::throttle_layer::<Site>())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let request = tokio::spawn(async move { server.get("/").await });
    backend.asked(2).await;
    backend.answers();
    clock.advance(TraffikBuilder::DEFAULT_BACKEND_TIMEOUT);

    let reply = request.await.unwrap();
    assert_eq!((reply.status, reply.state()), (503, Some(r#""site";r=100"#)));
    assert_eq!(traffik.limiter::<Site>(HERE).peek().await.unwrap().tightest().remaining(), 100);
}

#[tokio::test]
async fn failed_refund_leaves_a_refusal_that_reports_the_charge() {
    let (backend, traffik, clock) = unsteady();
    let app = Router::new().route("/", get(|_: Throttled<Site>, _: Throttled<Search>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    for _ in 0..5 {
        assert_eq!(server.get("/").await.status, 200);
    }

    backend.refunds_fail();
    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.problem("violated-policies")), (429, json!(["search"])));
    assert_eq!(reply.state(), Some(r#""site";r=94;t=3600, "search";r=0;t=60"#));
    assert_eq!(traffik.limiter::<Site>(HERE).peek().await.unwrap().tightest().remaining(), 94);

    backend.refunds_hang();
    let request = tokio::spawn(async move { server.get("/").await });
    backend.asked(5 * 2 + 2 + 3).await;
    clock.advance(TraffikBuilder::DEFAULT_BACKEND_TIMEOUT);
    let reply = request.await.unwrap();
    assert_eq!((reply.status, reply.state()), (429, Some(r#""site";r=93;t=3600, "search";r=0;t=60"#)));
}

#[tokio::test]
async fn throttled_request_after_close_is_a_503() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Search>| async {}))
        .route("/open", get(|| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.get("/").await.status, 200);

    traffik.close().await.unwrap();
    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.retry_after(), reply.problem("type")), (503, Some("1"), REDUCED.into()));
    assert_eq!(server.get("/open").await.status, 200);
}
