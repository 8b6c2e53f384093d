//! A throttle as `Option<Throttled<T>>`: `None` where it does not count the request.

use axum::{
    Router,
    http::{Method, Request, StatusCode, request::Parts},
    routing::any,
};
use traffik::{
    Client, EXEMPTED, Rate, Rule, Settings, Throttled, Traffik, backend::MemoryBackend, on_error::Allow,
    test::ManualClock,
};

use super::{
    app::{throttle, traffik},
    backends::Unsteady,
    server::Server,
};

fn by_user(parts: &Parts) -> Result<Client, StatusCode> {
    match parts.headers.get("x-user").map(|user| user.as_bytes()) {
        Some(b"root") => Ok(EXEMPTED),
        Some(_) => Ok(Client::from("user")),
        None => Err(StatusCode::UNAUTHORIZED),
    }
}

fn by_plan(parts: &Parts, _: &Client) -> Rate {
    if parts.headers.contains_key("x-partner") { Rate::UNLIMITED } else { Rate::literal("2/min") }
}

throttle!(Limited, "optional:limited", "2/min", Settings::new().identity(by_user).rate_of(by_plan));
throttle!(Writes, "optional:writes", "1/min", Settings::new().rule(Rule::methods([Method::POST])));
throttle!(Free, "optional:free", "1/min", Settings::new().cost_of(|_| 0));
throttle!(Lenient, "optional:lenient", "1/min", Settings::new().on_error(Allow));

async fn describe<T>(permit: Option<Throttled<T>>) -> String {
    permit.map_or_else(|| "not counted".to_owned(), |permit| format!("{} left", permit.tightest().remaining()))
}

fn app(traffik: &Traffik) -> Router {
    Router::new()
        .route("/limited", any(describe::<Limited>))
        .route("/writes", any(describe::<Writes>))
        .route("/free", any(describe::<Free>))
        .route("/both", any(describe::<(Writes, Free)>))
        .route("/lenient", any(describe::<Lenient>))
        .layer(traffik.layer())
}

#[tokio::test]
async fn option_is_none_where_no_throttle_counts() {
    let (traffik, _) = traffik();
    let server = Server::start(app(&traffik)).await;
    let body = async |request: axum::http::request::Builder| server.send(request, "").await.body;
    let user = |name: &str| Request::get("/limited").header("x-user", name);

    assert_eq!(body(user("root")).await, "not counted");
    assert_eq!(body(user("ann").header("x-partner", "1")).await, "not counted");
    assert_eq!(body(user("ann")).await, "1 left");
    assert_eq!(body(Request::get("/writes")).await, "not counted");
    assert_eq!(body(Request::get("/free")).await, "not counted");
    assert_eq!(body(Request::get("/both")).await, "not counted");
    assert_eq!(body(Request::post("/both")).await, "0 left");
    assert_eq!(Server::start(app(&Traffik::disabled())).await.get("/lenient").await.body, "not counted");
}

#[tokio::test]
async fn option_rejects_refusals_and_errors() {
    let (traffik, _) = traffik();
    let server = Server::start(app(&traffik)).await;
    for status in [200, 429] {
        assert_eq!(server.send(Request::post("/writes"), "").await.status, status);
    }
    assert_eq!(server.get("/limited").await.status, 401, "the identity rejected the request");

    let backend = Unsteady::new(MemoryBackend::with_clock("test", ManualClock::new()));
    let server = Server::start(app(&Traffik::new(backend.clone()).unwrap())).await;
    backend.fails();
    assert_eq!(server.send(Request::post("/writes"), "").await.status, 503);
    assert_eq!(server.get("/lenient").await.body, "unlimited left", "the throttle applies and is not checked");
}
