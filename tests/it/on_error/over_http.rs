//! Backend failures over HTTP, as seen by the client, the handler and a middleware.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{Response, request::Parts},
    middleware::{Next, from_fn},
    routing::get,
};
use http_body_util::BodyExt;
use tower::ServiceExt;
use traffik::{
    CheckError, ConfigError, DefaultIdentity, Error, Rate, Settings, Throttle, Throttled, Traffik,
    breaker::{BreakerState, CircuitBreaker},
    on_error::{Allow, Failover, Failure, Raise, Resolution},
    test::RequestExt,
    throttle_layer, web,
};

use super::{
    Five, Two,
    backends::{Mood, app, store},
};

async fn limits_text(permit: Throttled<Two>) -> String {
    let limits = permit.limits();
    format!("from fallback: {}, unchecked: {}", limits.is_from_fallback(), limits.is_unchecked())
}

fn routes(traffik: &Traffik) -> Router {
    Router::new()
        .route("/", get(limits_text))
        .route("/both", get(|_: Throttled<Five>, _: Throttled<Two>| async {}))
        .layer(traffik.layer())
}

async fn get_from(app: &Router, path: &str) -> (u16, Response<Body>) {
    let request = Request::get(path).body(Body::empty()).unwrap_or_default().with_peer("203.0.113.7:50000");
    let Ok(response) = app.clone().oneshot(request).await;
    (response.status().as_u16(), response)
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

async fn body(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The store is healthy: a setting of its backend is missing.
#[tokio::test]
async fn misconfigured_backend_is_a_500_and_leaves_the_breaker_closed() {
    let mut breakers = Vec::new();
    let (traffik, backend, _) = app(|builder, clock| {
        let breaker = CircuitBreaker::builder().failure_threshold(3).clock(clock.clone()).build().unwrap();
        breakers.push(breaker.clone());
        builder.on_error(Failover::to(store(clock)).breaker(breaker))
    });
    let routes = routes(&traffik);
    backend.is(Mood::IsMisconfigured);
    for _ in 0..10 {
        let (status, response) = get_from(&routes, "/").await;
        assert_eq!((status, &*body(response).await), (500, "traffik: call `.secret(..)`"));
    }
    let error = traffik.limiter::<Two>("alice").check().await;
    assert!(matches!(error, Err(CheckError::Failed(Error::Config(ConfigError::Backend(_))))), "{error:?}");
    assert_eq!(breakers[0].state(), BreakerState::Closed);
}

#[tokio::test]
async fn permit_from_the_fallback_reports_it_and_fields_show_the_share() {
    let (traffik, backend, _) = app(|builder, clock| builder.on_error(Failover::to(store(clock)).share(2)));
    let routes = routes(&traffik);
    let (_, response) = get_from(&routes, "/").await;
    assert_eq!(header(&response, "ratelimit-policy"), Some(r#""on-error:two";q=2;w=60"#));
    assert_eq!(body(response).await, "from fallback: false, unchecked: false");

    backend.is(Mood::Fails);
    let (_, response) = get_from(&routes, "/").await;
    assert_eq!(header(&response, "ratelimit-policy"), Some(r#""on-error:two";q=1;w=60"#));
    assert_eq!(header(&response, "ratelimit"), Some(r#""on-error:two";r=0;t=60"#));
    assert_eq!(body(response).await, "from fallback: true, unchecked: false");
    let (status, response) = get_from(&routes, "/").await;
    assert_eq!((status, header(&response, "retry-after")), (429, Some("60")));
}

/// Reads a number from a header.
fn header_text<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name)?.to_str().ok()
}

throttles! {
    Planned: "on-error:planned", "4/min", Settings::new()
        .cost_of(|parts| header_text(parts, "x-cost").and_then(|cost| cost.parse().ok()).unwrap_or(1))
        .rate_of(|parts, _| header_text(parts, "x-rate").and_then(|rate| rate.parse().ok()).unwrap_or(Rate::UNLIMITED));
}

#[tokio::test]
async fn share_applies_to_the_rate_of_the_request_and_caps_its_cost() {
    let (traffik, backend, _) = app(|builder, clock| builder.on_error(Failover::to(store(clock)).share(4)));
    let routes = Router::new().route("/", get(|_: Throttled<Planned>| async {})).layer(traffik.layer());
    let send = async |peer: &str, rate: &str, cost: u64| {
        let request = Request::get("/").header("x-rate", rate).header("x-cost", cost).body(Body::empty());
        let Ok(response) = routes.clone().oneshot(request.unwrap_or_default().with_peer(peer)).await;
        let text = ["ratelimit-policy", "ratelimit"].map(|name| header(&response, name).unwrap_or_default().to_owned());
        (response.status().as_u16(), text.map(|text| text.replace("\"on-error:planned\";", "")).join(" "))
    };
    let (one, other) = ("203.0.113.7:1", "203.0.113.8:1");

    backend.is(Mood::Fails);
    assert_eq!(send(one, "20/min", 2).await, (200, "q=5;w=60 r=3;t=60".into()));
    assert_eq!(send(other, "400/hour", 50).await, (200, "q=100;w=3600 r=50;t=3600".into()));
    assert_eq!(send(one, "20/min", 4).await.0, 429);
    // An upgrade applies immediately, and used amounts stay used. (A refused client stays refused while the breaker is
    // closed.)
    assert_eq!(send(one, "40/min", 7).await, (200, "q=10;w=60 r=1;t=60".into()));
    // A cost above the share takes all of it. A cost above the whole limit is always refused.
    assert_eq!(send("203.0.113.9:1", "20/min", 20).await, (200, "q=5;w=60 r=0;t=60".into()));
    assert_eq!(send("203.0.113.10:1", "20/min", 21).await, (429, "q=5;w=60 r=5".into()));
    assert_eq!(send(one, "0/0", 1000).await, (200, " ".into()));
}

#[tokio::test]
async fn later_refusal_refunds_the_charge_of_the_fallback() {
    let (traffik, backend, _) = app(|builder, clock| builder.on_error(Failover::to(store(clock))));
    let routes = routes(&traffik);
    backend.is(Mood::Fails);
    for expected in [200, 200, 429, 429] {
        assert_eq!(get_from(&routes, "/both").await.0, expected);
    }
    let peer = "203.0.113.7:50000".parse::<SocketAddr>().unwrap().ip();
    let limits = traffik.limiter::<Five>(peer).peek().await.unwrap();
    assert_eq!((limits.is_from_fallback(), limits.tightest().remaining().units()), (true, Some(3)));
}

#[tokio::test]
async fn unchecked_request_gets_no_fields() {
    let (traffik, backend, _) = app(|builder, _| builder.on_error(Allow));
    backend.is(Mood::Fails);
    let (status, response) = get_from(&routes(&traffik), "/").await;
    assert_eq!((status, header(&response, "ratelimit")), (200, None));
    assert_eq!(body(response).await, "from fallback: false, unchecked: true");
}

#[tokio::test]
async fn throttle_met_twice_is_unchecked_once() {
    let (traffik, backend, _) = app(|builder, _| builder.on_error(Allow));
    let routes = Router::new().route("/", get(limits_text)).layer(throttle_layer::<Two>()).layer(traffik.layer());
    backend.is(Mood::Fails);
    let (status, response) = get_from(&routes, "/").await;
    assert_eq!((status, backend.asked()), (200, 1));
    assert_eq!(body(response).await, "from fallback: false, unchecked: true");

    backend.is(Mood::Answers);
    let (_, response) = get_from(&routes, "/").await;
    assert_eq!(header(&response, "ratelimit"), Some(r#""on-error:two";r=1;t=60"#));
}

#[tokio::test]
async fn raised_error_is_a_500_that_a_middleware_can_report() {
    let (traffik, backend, _) = app(|builder, _| builder.on_error(Raise));
    let report = |request: Request, next: Next| async {
        let mut response = next.run(request).await;
        if let Some(raised) = response.extensions().get::<web::Raised>() {
            let text = raised.error().to_string().parse().unwrap_or(axum::http::HeaderValue::from_static("?"));
            response.headers_mut().insert("x-reported", text);
        }
        response
    };
    backend.is(Mood::Fails);
    let (status, response) = get_from(&routes(&traffik).layer(from_fn(report)), "/").await;
    assert_eq!((status, header(&response, "cache-control")), (500, Some("no-store")));
    assert!(header(&response, "x-reported").is_some_and(|text| text.contains("the connection was lost")));
    assert!(!body(response).await.contains("connection"), "the response does not contain the error");
}

#[tokio::test]
async fn refusal_by_an_error_function_has_a_retry_after() {
    let refuse = |_: Failure| async { Ok::<_, String>(Resolution::RefuseFor(Duration::from_millis(29_001))) };
    let (traffik, backend, _) = app(|builder, _| builder.on_error(refuse));
    backend.is(Mood::Fails);
    let (status, response) = get_from(&routes(&traffik), "/").await;
    assert_eq!((status, header(&response, "retry-after")), (503, Some("30")));
    assert!(body(response).await.contains("temporary-reduced-capacity"));
}
