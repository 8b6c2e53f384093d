use std::{cell::RefCell, rc::Rc};

use aide::{
    axum::{
        ApiRouter,
        routing::{get, get_with},
    },
    generate,
    openapi::OpenApi,
};
use axum::Router;
use traffik::{Limiter, Limits, ThrottleRejection, Throttled, Traffik, identity::Everyone, web::ws::Messages};

use super::{Burst, Sustained, app, document::Document};

/// Returns the routes and their document.
#[expect(clippy::unwrap_used, reason = "a test without a document fails")]
fn documented(router: ApiRouter) -> (Router, Document) {
    let mut document = OpenApi::default();
    let routes = router.finish_api(&mut document);
    (routes, Document(serde_json::to_value(document).unwrap()))
}

pub(super) fn app() -> (Router, Document) {
    let errors = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&errors);
    generate::on_error(move |error| seen.borrow_mut().push(error.to_string()));
    let router = ApiRouter::new()
        .api_route("/search", get(app::search))
        .api_route("/optional", get(app::optional))
        .api_route("/two", get(app::two))
        .api_route("/usage", get(app::usage))
        .api_route("/plan", get(app::plan))
        .api_route("/hidden", get(app::hidden))
        .api_route("/overload", get(app::overload))
        .api_route("/service", get(app::service))
        .api_route("/x", get(app::x))
        .api_route("/own", get(app::own))
        .api_route("/unlimited", get(app::unlimited))
        .api_route("/rows", get(app::rows));
    let app = documented(router);
    assert_eq!(*errors.borrow(), [""; 0]);
    app
}

#[test]
fn rejection_alone_documents_both_statuses() {
    async fn rejecting() -> Result<(), ThrottleRejection> {
        Ok(())
    }
    let (_, document) = documented(ApiRouter::new().api_route("/", get(rejecting)));
    assert_eq!(document.statuses("/"), ["200", "429", "503"]);
    assert_eq!(document.response("/", 429)["description"], "Too many requests.");
    assert_eq!(document.headers("/", 503), ["RateLimit", "RateLimit-Policy", "Retry-After"]);
    document.check_body(
        "/",
        429,
        &serde_json::json!({
            "type": super::QUOTA_EXCEEDED, "title": "", "status": 429, "detail": "", "violated-policies": [],
        }),
    );
}

#[test]
fn limit_of_a_layer_is_documented_as_an_input() {
    let route = get_with(app::usage, |operation| operation.input::<Throttled<Sustained>>());
    let (_, document) = documented(ApiRouter::new().api_route("/", route));
    assert_eq!(
        document.response("/", 429)["description"],
        "Too many requests.\n\n- \"openapi:sustained\" allows 50 requests per hour"
    );
    let unavailable = document.response("/", 503)["description"].clone();
    assert_eq!(
        unavailable,
        "The limits of the request cannot be checked at present.\n\n- \"openapi:burst\" allows 2 requests per minute\n- \
         \"openapi:sustained\" allows 50 requests per hour"
    );
}

#[test]
fn schema_is_one_component_or_inline() {
    let text = |(_, document): (_, Document)| format!("{document:?}");
    let component = text(app());
    assert_eq!(component.matches("Problem details").count(), 1, "{component}");

    generate::extract_schemas(false);
    let inline = text(app());
    assert!(!inline.contains("RateLimitProblem"), "{inline}");
    assert!(inline.matches("Problem details").count() > 1, "{inline}");
}

#[test]
fn other_extractors_add_nothing() {
    async fn handler(_: Traffik, _: Option<Limits>, _: Everyone, _: Messages<Burst>, _: Result<Limiter<Burst>, ()>) {}
    async fn without_limits(_: Traffik, _: Option<Limits>, _: Everyone, _: Messages<Burst>) {}
    fn operation<H, I, O>(_: H) -> Vec<String>
    where
        H: aide::operation::OperationHandler<I, O>,
        I: aide::OperationInput,
        O: aide::OperationOutput,
    {
        let mut operation = aide::openapi::Operation::default();
        generate::in_context(|ctx| I::operation_input(ctx, &mut operation));
        operation
            .responses
            .into_iter()
            .flat_map(|all| all.responses.into_keys())
            .map(|status| status.to_string())
            .collect()
    }
    assert_eq!(operation(without_limits), [""; 0]);
    assert_eq!(operation(handler), ["429", "503"]);
}
