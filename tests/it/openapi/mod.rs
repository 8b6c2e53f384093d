//! Responses in the documents of aide and utoipa, and on the wire.

mod aide;
mod app;
mod document;
mod utoipa;

use axum::{Router, http::request::Parts};
use serde_json::{Value, json};
use traffik::{
    Client, Concurrency, DefaultIdentity, Fields, Limited, MemoryBackend, Rate, Settings, Throttle, Traffik,
    test::ManualClock,
};

use self::document::Document;
use crate::http::{
    app::throttle,
    backends::Unsteady,
    server::{Reply, Server},
};

fn by_plan(_: &Parts, _: &Client) -> Rate {
    Rate::literal("1/min")
}

fn teapot(_: &Limited) -> &'static str {
    "a teapot"
}

throttle!(Burst, "openapi:burst", "2/min");
throttle!(Sustained, "openapi:sustained", "50/hour");
throttle!(Rows, "openapi:rows", "3/min", Settings::new().strategy(Concurrency));
throttle!(Plan, "openapi:plan", "100/min", Settings::new().rate_of(by_plan));
throttle!(Hidden, "openapi:hidden", "1/min", Settings::new().hidden());
throttle!(Overload, "openapi:hidden:overload", "1/min", Settings::new().hidden().refuse_with_503());
throttle!(Service, "openapi:service", "1/hour", Settings::new().refuse_with_503());
throttle!(X, "openapi:x", "1/min", Settings::new().fields(Fields::x_ratelimit()));
throttle!(Own, "openapi:own", "1/min", Settings::new().responder(teapot));

#[derive(Debug)]
struct Unlimited;

impl Throttle for Unlimited {
    const UID: &'static str = "openapi:unlimited";
    const RATE: Rate = Rate::UNLIMITED;
    type Identity = DefaultIdentity;
}

/// Returns the routes of the same app with its document: of aide, and of utoipa.
fn apps() -> [(Router, Document); 2] {
    [aide::app(), utoipa::app()]
}

const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const REDUCED_CAPACITY: &str = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

#[test]
fn operation_has_the_responses_of_its_throttles() {
    for (_, document) in apps() {
        for (path, statuses) in [
            ("/search", &["200", "429", "503"][..]),
            ("/optional", &["200", "429", "503"]),
            ("/rows", &["200", "429", "503"]),
            ("/two", &["200", "429", "503"]),
            ("/plan", &["200", "429", "503"]),
            ("/usage", &["200", "503"]),
            ("/service", &["200", "503"]),
            ("/unlimited", &["200"]),
        ] {
            assert_eq!(document.statuses(path), statuses, "{path}: {document:?}");
        }
    }
}

#[test]
fn description_names_uids_and_rates() {
    const BOTH: &str =
        "\n\n- \"openapi:burst\" allows 2 requests per minute\n- \"openapi:sustained\" allows 50 requests per hour";
    for (_, document) in apps() {
        let described = |path, status| document.response(path, status)["description"].clone();
        for path in ["/search", "/two"] {
            assert_eq!(described(path, 429), format!("Too many requests.{BOTH}"));
            assert_eq!(described(path, 503), format!("The limits of the request cannot be checked at present.{BOTH}"));
        }
        let ends = |path, status, line: &str| {
            let text = described(path, status).as_str().unwrap_or_default().to_owned();
            assert!(text.ends_with(&format!("\n\n- {line}")), "{text}");
        };
        ends("/rows", 429, "\"openapi:rows\" allows 3 at once");
        ends("/plan", 429, "\"openapi:plan\" allows a rate that depends on the request");
        ends("/usage", 503, "\"openapi:burst\" allows 2 requests per minute");
        ends("/service", 503, "\"openapi:service\" allows 1 request per hour, and refuses with this status");
    }
}

#[test]
fn hidden_limit_is_nowhere_in_the_document() {
    for (_, document) in apps() {
        let limited = document.response("/hidden", 429);
        assert_eq!(limited["description"], "Too many requests.");
        assert_eq!(document.headers("/hidden", 429), ["Retry-After"]);
        let reduced = document.response("/overload", 503)["description"].clone();
        assert_eq!(
            reduced,
            "The limits of the request cannot be checked at present.\n\n- or the service has no room for the request"
        );
        assert!(!format!("{document:?}").contains("openapi:hidden"), "{document:?}");
    }
}

#[test]
fn settings_of_a_throttle_select_headers_and_body() {
    for (_, document) in apps() {
        let standard = ["RateLimit", "RateLimit-Policy", "Retry-After"];
        assert_eq!(document.headers("/search", 429), standard);
        assert_eq!(document.headers("/search", 503), standard);
        let x = ["Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"];
        assert_eq!(document.headers("/x", 429), x);
        assert!(document.response("/own", 429).get("content").is_none(), "the responder's body is not known");
    }
}

#[test]
fn both_documents_are_the_same() {
    let [(_, aide), (_, utoipa)] = apps();
    for (path, status) in [("/search", 429), ("/service", 503), ("/usage", 503), ("/x", 429), ("/own", 429)] {
        assert_eq!(aide.response(path, status), utoipa.response(path, status), "{path} {status}");
        assert_eq!(aide.headers(path, status), utoipa.headers(path, status), "{path} {status}");
    }
    assert_eq!(aide.schema("/search", 429), utoipa.schema("/search", 429));
}

/// Checks that the document describes a rejection with its fields and its body.
#[expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a rejection that is not documented fails")]
fn check(document: &Document, path: &str, reply: &Reply) {
    document.check_body(path, reply.status, &serde_json::from_str(&reply.body).unwrap());
    let documented = document.headers(path, reply.status);
    for name in reply.headers.keys() {
        let is_ours = name.as_str().contains("ratelimit") || name == "retry-after";
        let is_documented = documented.iter().any(|documented| name.as_str() == documented.to_ascii_lowercase());
        assert!(!is_ours || is_documented, "{path}: {name} is not in {documented:?}");
    }
    assert!(document.content_types(path, reply.status).contains(&reply.header("content-type").unwrap().to_owned()));
    let description = document.response(path, reply.status)["description"].clone();
    for uid in reply.problem("violated-policies").as_array().unwrap() {
        assert!(description.as_str().unwrap().contains(&uid.to_string()), "{path}: {uid} is not in {description}");
    }
}

#[tokio::test]
async fn refusal_is_as_the_document_says() {
    for (routes, document) in apps() {
        let traffik = Traffik::new(MemoryBackend::with_clock("openapi", ManualClock::new())).unwrap();
        let server = Server::start(routes.layer(traffik.layer())).await;
        for (path, status, kind) in [
            ("/search", 429, QUOTA_EXCEEDED),
            ("/optional", 429, QUOTA_EXCEEDED),
            ("/hidden", 429, QUOTA_EXCEEDED),
            ("/x", 429, QUOTA_EXCEEDED),
            ("/service", 503, REDUCED_CAPACITY),
            ("/overload", 503, REDUCED_CAPACITY),
        ] {
            let mut reply = server.get(path).await;
            while reply.status == 200 {
                reply = server.get(path).await;
            }
            assert_eq!((reply.status, reply.problem("type")), (status, kind.into()), "{path}");
            assert!(reply.retry_after().is_some(), "{path}");
            check(&document, path, &reply);
        }
        let detail = server.get("/search").await.problem("detail");
        assert!(detail.as_str().unwrap().starts_with(r#""openapi:burst" allows 2 requests per minute; "#), "{detail}");
    }
}

#[tokio::test]
async fn outage_is_as_the_document_says() {
    for (routes, document) in apps() {
        let backend = Unsteady::new(MemoryBackend::with_clock("openapi", ManualClock::new()));
        let traffik = Traffik::new(backend.clone()).unwrap();
        let server = Server::start(routes.layer(traffik.layer())).await;
        backend.fails();
        for path in ["/search", "/rows", "/usage", "/service", "/plan"] {
            let reply = server.get(path).await;
            assert_eq!((reply.status, reply.problem("type")), (503, REDUCED_CAPACITY.into()), "{path}");
            check(&document, path, &reply);
        }
    }
}

#[test]
fn schema_refuses_what_is_not_sent() {
    let [(_, document), _] = apps();
    let schema = document.schema("/search", 429);
    let sent = json!({
        "type": QUOTA_EXCEEDED, "title": "t", "status": 429, "detail": "d", "violated-policies": ["a"],
    });
    assert_eq!(document::errors(&schema, &sent), [""; 0]);
    for (name, wrong) in [
        ("type", json!("about:blank")),
        ("status", json!("429")),
        ("violated-policies", json!([1])),
        ("violated-policies", Value::Null),
        ("undescribed", json!(1)),
    ] {
        let mut body = sent.clone();
        body[name] = wrong;
        assert_eq!(document::errors(&schema, &body).len(), 1, "{body}");
    }
}
