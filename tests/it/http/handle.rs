//! The handle as an argument of a handler.

use axum::{Extension, Router, routing::get};
use traffik::{Traffik, backend::MemoryBackend};

use super::server::Server;

async fn namespace(traffik: Traffik) -> String {
    traffik.namespace().to_owned()
}

fn app(routes: impl FnOnce(Router) -> Router) -> Router {
    routes(Router::new().route("/", get(namespace)))
}

#[expect(clippy::unwrap_used, reason = "a test without an app fails")]
fn named(namespace: &str) -> Traffik {
    Traffik::new(MemoryBackend::new(namespace)).unwrap()
}

#[tokio::test]
async fn handle_of_the_innermost_layer_is_extracted() {
    let app = app(|routes| routes.layer(named("inner").layer()).layer(named("outer").layer()));
    assert_eq!(Server::start(app).await.get("/").await.body, "inner");
}

#[tokio::test]
async fn extension_without_a_layer_provides_the_handle() {
    let only = app(|routes| routes.layer(Extension(named("extension"))));
    assert_eq!(Server::start(only).await.get("/").await.body, "extension");

    let both = app(|routes| routes.layer(Extension(named("extension"))).layer(named("layer").layer()));
    assert_eq!(Server::start(both).await.get("/").await.body, "layer");
}

#[tokio::test]
async fn missing_handle_is_an_error_that_names_the_fix() {
    let answer = Server::start(app(|routes| routes)).await.get("/").await;
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains(".layer(traffik.layer())"), "{}", answer.body);
}
