//! What requests cost.

use axum::{Router, http::StatusCode, http::request::Parts, routing::get};
use traffik::{Client, Settings, Throttled};

use super::{
    app::{throttle, traffik},
    server::Server,
};

/// Must not be asked.
fn nobody(_: &Parts) -> Result<Client, (StatusCode, &'static str)> {
    Err((StatusCode::IM_A_TEAPOT, "who asks?"))
}

throttle!(Free, "free", "1/min", Settings::new().cost(0).identifier(nobody));
throttle!(Paid, "paid", "3/min");

#[tokio::test]
async fn what_costs_nothing_is_asked_nothing() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|permit: Throttled<Free>| async move { permit.tightest().is_counted().to_string() }))
        .route("/both", get(|permit: Throttled<(Free, Paid)>| async move { permit.tightest().uid() }))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    for _ in 0..3 {
        let reply = server.get("/").await;
        assert_eq!((reply.status, reply.body.as_str(), reply.policy()), (200, "false", None));
        let reply = server.get("/both").await;
        assert_eq!((reply.status, reply.body.as_str(), reply.policy()), (200, "paid", Some(r#""paid";q=3;w=60"#)));
    }
    assert_eq!(server.get("/both").await.status, 429);
    assert_eq!(server.get("/").await.status, 200);
}
