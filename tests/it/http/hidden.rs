//! Limits of the whole service, which clients do not see.

use axum::{Router, http::Request, routing::get};
use serde_json::json;
use traffik::{Client, MemoryBackend, Settings, Throttled, Traffik};

use super::{
    app::{builder, throttle, traffik},
    backends::Unsteady,
    server::Server,
};

fn everyone() -> Settings {
    Settings::new().identity(|_| Client::from("everyone"))
}

throttle!(Search, "search", "5/min");
throttle!(Rare, "rare", "1/min");
throttle!(Service, "service", "2/hour", everyone().hidden());
throttle!(Overload, "overload", "2/hour", everyone().hidden().refuse_with_503());
throttle!(Maintenance, "maintenance", "1/min", everyone().refuse_with_503());
throttle!(Heavy, "heavy", "2/hour", everyone().hidden().cost(3));

#[tokio::test]
async fn hidden_limit_sets_status_and_wait_and_appears_nowhere() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<(Service, Search)>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;

    for remaining in [4, 3] {
        let reply = server.get("/").await;
        assert_eq!(reply.policy(), Some(r#""search";q=5;w=60"#));
        assert_eq!(reply.state(), Some(&*format!(r#""search";r={remaining};t=60"#)));
    }
    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.retry_after()), (429, Some("3600")));
    assert_eq!(refused.policy(), Some(r#""search";q=5;w=60"#));
    assert_eq!(refused.problem("detail"), "too many requests; try again in 1h");
    assert_eq!(refused.problem("violated-policies"), json!([]));
    assert!(!format!("{refused:?}").contains("service"), "{refused:?}");
}

#[tokio::test]
async fn refusal_by_several_limits_names_those_that_are_shown() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/service", get(|_: Throttled<Service>| async {}))
        .route("/both", get(|_: Throttled<(Service, Rare)>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!([server.get("/service").await.status, server.get("/both").await.status], [200, 200]);

    let refused = server.get("/both").await;
    assert_eq!((refused.status, refused.retry_after()), (429, Some("3600")));
    assert_eq!(refused.problem("detail"), r#""rare" allows 1 request per minute; try again in 1h"#);
    assert_eq!(refused.problem("violated-policies"), json!(["rare"]));
}

#[tokio::test]
async fn limit_of_the_service_refuses_with_a_503() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Overload>| async {}))
        .route("/both", get(|_: Throttled<(Overload, Rare)>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!([server.get("/").await.status, server.get("/both").await.status], [200, 200]);

    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.retry_after()), (503, Some("3600")));
    assert_eq!((refused.header("cache-control"), refused.policy()), (Some("no-store"), None));
    let body: serde_json::Value = serde_json::from_str(&refused.body).unwrap();
    let expected = json!({
        "type": "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "too many requests; try again in 1h",
        "violated-policies": [],
    });
    assert_eq!(body, expected);
    let grpc = server.send(Request::get("/").header("content-type", "application/grpc"), "").await;
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, Some("14")));
    assert_eq!(server.get("/both").await.status, 429, "the client is over its own limit as well");
}

#[tokio::test]
async fn refusal_with_a_503_refunds_the_other_charges_of_the_request() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Search>, _: Throttled<Maintenance>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    server.get("/").await;

    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.problem("violated-policies")), (503, json!(["maintenance"])));
    assert_eq!(refused.state(), Some(r#""search";r=4;t=60, "maintenance";r=0;t=60"#));
}

#[tokio::test]
async fn hidden_limit_that_no_wait_helps_with_is_not_named() {
    let (builder, _) = builder();
    let app = Router::new().route("/", get(|_: Throttled<Heavy>| async {})).layer(builder.build().unwrap().layer());

    let refused = Server::start(app).await.get("/").await;
    assert_eq!((refused.status, refused.retry_after()), (429, None));
    assert_eq!(refused.problem("detail"), "too many requests; a request of this cost is never admitted");
}

#[tokio::test]
async fn outage_does_not_name_hidden_limits() {
    let backend = Unsteady::new(MemoryBackend::new("test"));
    let traffik = Traffik::new(backend.clone()).unwrap();
    let app = Router::new().route("/", get(|_: Throttled<(Service, Search)>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    backend.fails();

    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.problem("violated-policies")), (503, json!(["search"])));
}

#[tokio::test]
async fn handler_sees_hidden_limits() {
    let (traffik, _) = traffik();
    let handler = |permit: Throttled<(Search, Service)>| async move {
        format!("{} {}", permit.tightest().uid(), permit.tightest().is_hidden())
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    assert_eq!(Server::start(app).await.get("/").await.body, "service true");
}
