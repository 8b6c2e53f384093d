//! Handlers with arguments of every kind.

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, Query, State, WebSocketUpgrade, rejection::QueryRejection},
    http::{HeaderMap, Method as HttpMethod, StatusCode, Uri, request::Parts},
    response::{IntoResponse, Response},
    routing::{any, delete, get, post},
};
use reqwest::Method;
use serde::Deserialize;
use traffik::throttled;

use crate::server::{Server, field};

#[derive(Deserialize)]
struct Search {
    q: String,
}

#[throttled("arguments:none", "1/min")]
async fn none() -> &'static str {
    "none"
}

#[throttled("arguments:nothing", "1/min")]
async fn nothing() {}

#[throttled("arguments:pattern", "1/min")]
#[axum::debug_handler]
async fn pattern(Query(Search { q }): Query<Search>, mut headers: HeaderMap) -> impl IntoResponse {
    headers.clear();
    (headers, q)
}

#[throttled("arguments:body", "1/min")]
async fn body(method: HttpMethod, Json(names): Json<Vec<String>>) -> Result<Json<usize>, StatusCode> {
    if method == HttpMethod::PUT { Err(StatusCode::IM_A_TEAPOT) } else { Ok(Json(names.len())) }
}

#[throttled("arguments:state", "1/min")]
#[axum::debug_handler]
async fn state(State(name): State<&'static str>, query: Result<Query<Search>, QueryRejection>) -> String {
    format!("{name} {}", query.is_ok())
}

#[throttled("arguments:generic", "1/min")]
async fn generic<S>(State(state): State<S>) -> String
where
    S: ToString + Clone + Send + Sync + 'static,
{
    state.to_string()
}

#[throttled("arguments:fifteen", "1/min")]
#[axum::debug_handler]
#[rustfmt::skip]
#[allow(clippy::too_many_arguments)]
async fn fifteen(
    _: HttpMethod, _: Uri, _: HeaderMap, _: HttpMethod, _: Uri, _: HeaderMap, _: HttpMethod, _: Uri, _: HeaderMap,
    _: HttpMethod, _: Uri, _: HeaderMap, _: HttpMethod, Path(id): Path<u32>, body: String,
) -> String {
    format!("{id} {body}")
}

#[throttled("arguments:websocket", "1/min")]
async fn websocket(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |_| ())
}

/// Rejects every request.
struct RejectAll;

impl<S: Sync> FromRequestParts<S> for RejectAll {
    type Rejection = StatusCode;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        Err(StatusCode::UNAUTHORIZED)
    }
}

#[throttled("arguments:first", "1/min")]
async fn first(_: RejectAll) {}

#[throttled("arguments:raw", "1/min")]
async fn r#match(Path(r#type): Path<String>) -> String {
    r#type
}

fn routes() -> Router {
    Router::new()
        .route("/none", get(none))
        .route("/nothing", delete(nothing))
        .route("/pattern", get(pattern))
        .route("/body", post(body).put(body))
        .route("/state", get(state))
        .route("/generic", get(generic::<&str>))
        .route("/fifteen/{id}", post(fifteen))
        .route("/websocket", any(websocket))
        .route("/first", get(first))
        .route("/match/{type}", get(r#match))
        .with_state("state")
}

#[tokio::test]
async fn attributed_handlers_behave_the_same_below_the_limit() {
    let server = Server::start(routes()).await;
    for (method, path, body, answer) in [
        (Method::GET, "/none", "", "none"),
        (Method::DELETE, "/nothing", "", ""),
        (Method::GET, "/pattern?q=rust", "", "rust"),
        (Method::POST, "/body", "[\"a\", \"b\"]", "2"),
        (Method::GET, "/state?q=rust", "", "state true"),
        (Method::GET, "/generic", "", "state"),
        (Method::POST, "/fifteen/7", "text", "7 text"),
        (Method::GET, "/match/type", "", "type"),
    ] {
        let request =
            || server.request(method.clone(), path).header("content-type", "application/json").body(body).send();
        let admitted = request().await.unwrap();
        assert!(admitted.status().is_success(), "{path}");
        assert!(!field(&admitted, "ratelimit").is_empty(), "{path}");
        assert_eq!(admitted.text().await.unwrap(), answer, "{path}");

        let refused = request().await.unwrap();
        assert_eq!(refused.status(), 429, "{path}");
        assert_eq!(field(&refused, "retry-after"), "60", "{path}");
    }
}

#[tokio::test]
async fn handler_on_several_methods_has_one_limit() {
    let server = Server::start(routes()).await;
    let send = |method| server.request(method, "/body").header("content-type", "application/json").body("[]").send();
    assert_eq!(send(Method::PUT).await.unwrap().status(), 418);
    assert_eq!(send(Method::POST).await.unwrap().status(), 429);
}

#[tokio::test]
async fn websocket_over_the_limit_is_refused_before_the_upgrade() {
    let server = Server::start(routes()).await;
    let handshake = || {
        server
            .request(Method::GET, "/websocket")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .send()
    };
    assert_eq!(handshake().await.unwrap().status(), 101);
    assert_eq!(handshake().await.unwrap().status(), 429);
}

#[tokio::test]
async fn limit_is_checked_before_any_extractor_runs() {
    let server = Server::start(routes()).await;
    assert_eq!(server.statuses("/first", 3).await, [401, 429, 429]);
}
