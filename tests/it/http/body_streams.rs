//! A response has its limit fields before its body is complete.

use axum::{Router, body::Body, extract::Request, routing::post};
use traffik::Throttled;

use super::{
    app::{throttle, traffik},
    server::Server,
};

throttle!(Uploads, "uploads", "2/min");

#[tokio::test]
async fn streamed_body_keeps_streaming() {
    let (traffik, _) = traffik();
    let echo =
        |_: Throttled<Uploads>, request: Request| async { Body::from_stream(request.into_body().into_data_stream()) };
    let app = Router::new().route("/", post(echo)).layer(traffik.layer());
    let server = Server::start(app).await;

    let reply = server.send(Request::post("/"), "piece by piece").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "piece by piece"));
    assert_eq!((reply.header("transfer-encoding"), reply.header("content-length")), (Some("chunked"), None));
    assert_eq!(reply.state(), Some(r#""uploads";r=1;t=60"#));
}

#[tokio::test]
async fn refusal_is_sent_before_the_request_body_is_read() {
    let (traffik, _) = traffik();
    let count = |_: Throttled<Uploads>, body: String| async move { body.len().to_string() };
    let app = Router::new().route("/", post(count)).layer(traffik.layer());
    let server = Server::start(app).await;

    for status in [200, 200, 429, 429] {
        assert_eq!(server.send(Request::post("/"), "a body that a refusal leaves unread").await.status, status);
    }
}
