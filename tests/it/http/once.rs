//! A throttle that a request meets twice is charged once.

use axum::{Router, routing::get};
use traffik::{Throttled, Traffik, backend::MemoryBackend, test::ManualClock, throttle_layer};

use super::{
    app::{HERE, throttle, traffik},
    server::Server,
};

throttle!(Api, "api", "3/min");
throttle!(Search, "search", "9/min");
throttle!(Narrow, "narrow", "1/min");

#[tokio::test]
async fn throttle_in_a_layer_and_the_handler_is_charged_once() {
    let (traffik, _) = traffik();
    let handler = |permit: Throttled<Api>| async move { permit.tightest().remaining().to_string() };
    let app = Router::new().route("/", get(handler)).route_layer(throttle_layer::<Api>()).layer(traffik.layer());
    let server = Server::start(app).await;

    for left in ["2", "1", "0"] {
        let reply = server.get("/").await;
        assert_eq!((reply.body.as_str(), reply.policy()), (left, Some(r#""api";q=3;w=60"#)));
    }
    assert_eq!(server.get("/").await.status, 429);
}

#[tokio::test]
async fn throttle_in_two_arguments_is_charged_once() {
    let (traffik, _) = traffik();
    let handler = |first: Throttled<Api>, second: Throttled<Api>| async move {
        assert_eq!(first.tightest().remaining(), second.tightest().remaining());
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let server = Server::start(app).await;

    for status in [200, 200, 200, 429] {
        assert_eq!(server.get("/").await.status, status);
    }
}

#[tokio::test]
async fn throttle_in_a_layer_and_a_tuple_is_charged_once() {
    let (traffik, _) = traffik();
    let handler = |permit: Throttled<(Search, Api, Narrow)>| async move {
        let left = permit.iter().map(|limit| limit.remaining().to_string());
        left.collect::<Vec<_>>().join(" ")
    };
    let app = Router::new().route("/", get(handler)).route_layer(throttle_layer::<Api>()).layer(traffik.layer());
    let server = Server::start(app).await;

    let admitted = server.get("/").await;
    assert_eq!(admitted.body, "8 2 0");
    assert_eq!(admitted.state(), Some(r#""api";r=2;t=60, "search";r=8;t=60, "narrow";r=0;t=60"#));

    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.problem("violated-policies")), (429, serde_json::json!(["narrow"])));
    assert_eq!(refused.state(), admitted.state(), "what the layer charged is given back");
    assert_eq!(traffik.limiter::<Api>(HERE).peek().await.unwrap().tightest().remaining(), 2);
}

#[tokio::test]
async fn throttle_in_nested_layers_is_charged_once() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<(Search, Api)>| async {}))
        .route_layer(throttle_layer::<(Api, Search)>())
        .layer(axum::middleware::from_extractor::<Throttled<Api>>())
        .layer(throttle_layer::<Api>())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.state(), Some(r#""api";r=2;t=60, "search";r=8;t=60"#));
}

#[tokio::test]
async fn throttle_of_another_handle_is_charged_separately() {
    let handle = || Traffik::new(MemoryBackend::with_clock("test", ManualClock::new())).unwrap();
    let (outer, inner) = (handle(), handle());
    let app = Router::new()
        .route("/", get(|_: Throttled<Api>| async {}))
        .layer(inner.layer())
        .layer(throttle_layer::<Api>())
        .layer(outer.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.status, 200);
    for traffik in [outer, inner] {
        assert_eq!(traffik.limiter::<Api>(HERE).peek().await.unwrap().tightest().remaining(), 2);
    }
}
