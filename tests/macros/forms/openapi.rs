//! Handlers that are documented, with the attribute above and below that of utoipa.

use aide::axum::{ApiRouter, routing::get};
use axum::Router;
use serde_json::Value;
use traffik::{Throttle, Throttled, throttled};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::server::{Server, field};

#[derive(Throttle)]
#[limit("openapi:reports", "1/hour")]
struct Reports;

/// Finds what is there.
#[throttled("openapi:above", "1/min")]
#[utoipa::path(get, path = "/above", responses((status = 200, description = "found")))]
async fn above() -> &'static str {
    "found"
}

/// Finds it again.
#[utoipa::path(get, path = "/below", responses((status = 200), Throttled<Reports>))]
#[throttled(Reports)]
async fn below() -> &'static str {
    "found"
}

#[throttled("openapi:between:burst", "1/min")]
#[utoipa::path(get, path = "/between")]
#[throttled(Reports)]
async fn between() {}

mod module {
    use traffik::throttled;

    #[throttled("openapi:module", "1/min")]
    #[::utoipa::path(get, path = "/module", responses((status = 429, description = "slow down")),)]
    pub(crate) async fn handler() {}
}

/// Its parameters are not known outside of it, so nothing is added.
#[throttled(T)]
#[utoipa::path(get, path = "/generic", operation_id = "generic")]
async fn generic<T: Throttle>() {}

#[derive(OpenApi)]
#[openapi(paths(above, below, between, module::handler, generic))]
struct Api;

#[expect(clippy::unwrap_used, reason = "a test without a document fails")]
fn of_utoipa() -> (Router, Value) {
    let router = OpenApiRouter::new()
        .routes(routes!(above))
        .routes(routes!(below))
        .routes(routes!(between))
        .routes(routes!(module::handler))
        .route("/generic", axum::routing::get(generic::<Reports>));
    let (routes, document) = router.split_for_parts();
    (routes, serde_json::to_value(document).unwrap())
}

#[expect(clippy::unwrap_used, reason = "a test without a document fails")]
fn of_aide() -> (Router, Value) {
    let mut document = aide::openapi::OpenApi::default();
    let router = ApiRouter::new()
        .api_route("/above", get(above))
        .api_route("/below", get(below))
        .api_route("/between", get(between))
        .api_route("/module", get(module::handler))
        .api_route("/generic", get(generic::<Reports>));
    let routes = router.finish_api(&mut document);
    (routes, serde_json::to_value(document).unwrap())
}

#[expect(clippy::indexing_slicing, reason = "a value of JSON that is absent is null")]
fn description<'a>(document: &'a Value, path: &str, status: &str) -> &'a str {
    document["paths"][path]["get"]["responses"][status]["description"].as_str().unwrap_or_default()
}

#[test]
fn attribute_documents_its_limits() {
    let of_derive = serde_json::to_value(Api::openapi()).unwrap();
    for (crate_name, document) in [("utoipa", of_utoipa().1), ("utoipa's derive", of_derive), ("aide", of_aide().1)] {
        for (path, lines) in [
            ("/above", "\n\n- \"openapi:above\" allows 1 request per minute"),
            ("/below", "\n\n- \"openapi:reports\" allows 1 request per hour"),
            (
                "/between",
                "\n\n- \"openapi:between:burst\" allows 1 request per minute\n- \"openapi:reports\" allows 1 request \
                 per hour",
            ),
        ] {
            for (status, heading) in
                [("429", "Too many requests."), ("503", "The limits of the request cannot be checked at present.")]
            {
                let text = description(&document, path, status);
                assert_eq!(text, format!("{heading}{lines}"), "{crate_name}, {path}, {status}");
            }
        }
    }
}

#[test]
fn attribute_of_utoipa_keeps_its_own_texts_and_responses() {
    let document = of_utoipa().1;
    let operation = |path: &str| document["paths"][path]["get"].clone();
    assert_eq!(operation("/above")["operationId"], "above");
    assert_eq!(operation("/above")["summary"], "Finds what is there.");
    assert_eq!(operation("/below")["summary"], "Finds it again.");
    assert_eq!(description(&document, "/above", "200"), "found");
    assert_eq!(description(&document, "/module", "429"), "slow down");
    let generic = serde_json::to_value(Api::openapi()).unwrap()["paths"]["/generic"]["get"].clone();
    assert_eq!((&generic["operationId"], &generic["responses"]), (&"generic".into(), &serde_json::json!({})));
}

#[tokio::test]
async fn documented_handler_is_limited() {
    for (routes, _) in [of_utoipa(), of_aide()] {
        let server = Server::start(routes).await;
        for path in ["/above", "/module", "/between"] {
            assert_eq!(server.statuses(path, 2).await, [200, 429], "{path}");
        }
        assert_eq!(server.statuses("/below", 1).await, [429], "`Reports` is shared with /between");
        assert_eq!(server.statuses("/generic", 1).await, [429]);
        let refused = server.get("/above").await;
        assert_eq!(field(&refused, "ratelimit-policy"), "\"openapi:above\";q=1;w=60");
    }
}
