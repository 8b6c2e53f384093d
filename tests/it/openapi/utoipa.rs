use axum::Router;
use traffik::{ThrottleRejection, Throttled, throttle_layer};
use utoipa::Modify;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Burst, Service, app, document::Document};

#[expect(clippy::unwrap_used, reason = "a test without a document fails")]
fn document_of(document: &utoipa::openapi::OpenApi) -> Document {
    Document(serde_json::to_value(document).unwrap())
}

pub(super) fn app() -> (Router, Document) {
    let router = OpenApiRouter::new()
        .routes(routes!(app::search))
        .routes(routes!(app::optional))
        .routes(routes!(app::two))
        .routes(routes!(app::usage))
        .routes(routes!(app::plan))
        .routes(routes!(app::hidden))
        .routes(routes!(app::overload))
        .routes(routes!(app::service))
        .routes(routes!(app::x))
        .routes(routes!(app::own))
        .routes(routes!(app::unlimited))
        .routes(routes!(app::rows));
    let (routes, document) = router.split_for_parts();
    (routes, document_of(&document))
}

#[utoipa::path(get, path = "/", responses((status = 200), Throttled<Burst>, (status = 429, description = "slow down")))]
async fn described(_: Throttled<Burst>) {}

#[utoipa::path(get, path = "/", responses((status = 200), ThrottleRejection))]
async fn rejecting() -> Result<(), ThrottleRejection> {
    Ok(())
}

#[test]
fn later_response_of_the_handler_replaces_that_of_the_throttle() {
    let document = document_of(OpenApiRouter::<()>::new().routes(routes!(described)).get_openapi());
    assert_eq!(document.statuses("/"), ["200", "429", "503"]);
    assert_eq!(document.response("/", 429)["description"], "slow down");
}

#[test]
fn rejection_alone_documents_both_statuses() {
    let document = document_of(OpenApiRouter::<()>::new().routes(routes!(rejecting)).get_openapi());
    assert_eq!(document.statuses("/"), ["200", "429", "503"]);
    assert_eq!(document.response("/", 429)["description"], "Too many requests.");
    assert_eq!(document.headers("/", 429), ["RateLimit", "RateLimit-Policy", "Retry-After"]);
}

#[test]
fn layer_documents_every_operation() {
    let mut router = OpenApiRouter::<()>::new()
        .routes(routes!(app::search))
        .routes(routes!(app::usage))
        .routes(routes!(app::unlimited));
    throttle_layer::<(Burst, Service)>().modify(router.get_openapi_mut());
    let document = document_of(router.get_openapi());
    let described = |path, status| document.response(path, status)["description"].clone();

    let burst = "- \"openapi:burst\" allows 2 requests per minute";
    let sustained = "- \"openapi:sustained\" allows 50 requests per hour";
    let service = "- \"openapi:service\" allows 1 request per hour, and refuses with this status";
    assert_eq!(described("/search", 429), format!("Too many requests.\n\n{burst}\n{sustained}"));
    assert_eq!(described("/unlimited", 429), format!("Too many requests.\n\n{burst}"));
    let unavailable = "The limits of the request cannot be checked at present.\n\n";
    assert_eq!(described("/search", 503), format!("{unavailable}{burst}\n{sustained}\n{service}"));
    assert_eq!(described("/usage", 503), format!("{unavailable}{burst}\n{service}"));
    assert_eq!(document.statuses("/usage"), ["200", "429", "503"]);
    assert_eq!(document.headers("/unlimited", 429), ["RateLimit", "RateLimit-Policy", "Retry-After"]);
}
