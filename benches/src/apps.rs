//! Routers with one route, with and without a limit, and functions that send a request without a socket.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    task::{Context, Poll, Waker},
};

use anyhow::{Context as _, Result};
use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request},
    http::{HeaderValue, Method, StatusCode, Uri, header::CONTENT_LENGTH, request::Parts},
    response::Response,
    routing::{MethodRouter, get},
};
use tower::ServiceExt;
use tower_governor::{GovernorLayer, governor::GovernorConfigBuilder};
use traffik::{
    Bypass, Client, ClientIp, DefaultIdentity, Rate, Rule, Settings, Throttle, Throttled, Traffik,
    backend::MemoryBackend, throttled,
};

use crate::limits::Limit;

#[derive(Throttle)]
#[limit("benches:argument", "1_000_000_000/1000h")]
struct Ample;

/// The same limit with rules: by method, by path, and by the handshake of a WebSocket.
#[derive(Debug)]
struct Ruled;

impl Throttle for Ruled {
    const UID: &'static str = "benches:ruled";
    const RATE: Rate = Ample::RATE;
    type Identity = DefaultIdentity;

    fn settings() -> Settings {
        Settings::new()
            .rule(Rule::path("/api/*/items/**").and(Rule::methods([Method::GET])).and(Rule::http()))
            .bypass(Bypass::path("/api/*/health"))
    }
}

/// The same limit with a cost function.
#[derive(Throttle)]
#[limit("benches:costing", "1_000_000_000/1000h", cost_of = by_header)]
struct Costing;

fn by_header(parts: &Parts) -> u64 {
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or(1)
}

/// The same limit with a rate function.
#[derive(Throttle)]
#[limit("benches:rated", "1/h", rate_of = by_plan)]
struct Rated;

/// A plan, which a middleware would put into requests. These requests have none.
#[derive(Clone)]
struct Plan(Rate);

fn by_plan(parts: &Parts, _: &Client) -> Rate {
    parts.extensions.get::<Plan>().map_or(Ample::RATE, |plan| plan.0)
}

async fn hello() -> &'static str {
    "hello"
}

async fn argument(_: Throttled<Ample>) -> &'static str {
    "hello"
}

async fn ruled(_: Throttled<Ruled>) -> &'static str {
    "hello"
}

async fn costing(_: Throttled<Costing>) -> &'static str {
    "hello"
}

async fn rated(_: Throttled<Rated>) -> &'static str {
    "hello"
}

#[throttled("benches:attribute", "1_000_000_000/1000h")]
async fn attribute() -> &'static str {
    "hello"
}

/// Returns all apps with their names in tables: first the bare handler, then `tower_governor`, then traffik.
///
/// # Errors
///
/// Returns an error if `tower_governor` rejects the limit.
pub fn all() -> Result<[(&'static str, Router); 4]> {
    Ok([
        ("bare handler", bare()),
        ("tower_governor, with headers", tower_governor()?),
        ("traffik, `Throttled<T>`", by_argument()),
        ("traffik, `#[throttled]`", traffik(get(attribute))),
    ])
}

fn bare() -> Router {
    Router::new().route("/", get(hello))
}

/// Returns traffik with the limit as an argument of the handler.
pub fn by_argument() -> Router {
    traffik(get(argument))
}

/// Returns the same app behind the proxy of these benchmarks.
///
/// # Errors
///
/// Returns an error if the setup is invalid.
pub fn behind_proxy() -> Result<Router> {
    let client_ip = ClientIp::behind(["10.0.0.0/8"])?;
    let traffik = Traffik::builder(MemoryBackend::new("benches")).client_ip(client_ip).build()?;
    Ok(Router::new().route("/", get(argument)).layer(traffik.layer()))
}

/// Returns traffik with a limit that has rules, for the path [`RULED_PATH`].
pub fn by_rules() -> Router {
    at(RULED_PATH, get(ruled))
}

/// Returns the same app without rules.
pub fn without_rules() -> Router {
    at(RULED_PATH, get(argument))
}

/// Returns traffik with a limit that has a cost function.
pub fn by_cost() -> Router {
    traffik(get(costing))
}

/// Returns traffik with a limit that has a rate function.
pub fn by_rate() -> Router {
    traffik(get(rated))
}

/// The path of [`by_rules`].
pub const RULED_PATH: &str = "/api/v1/items/42";

fn traffik(route: MethodRouter) -> Router {
    at("/", route)
}

#[expect(clippy::unwrap_used, reason = "a benchmark without an app fails")]
fn at(path: &str, route: MethodRouter) -> Router {
    Router::new().route(path, route).layer(Traffik::new(MemoryBackend::new("benches")).unwrap().layer())
}

fn tower_governor() -> Result<Router> {
    let quota = Limit::AMPLE.quota;
    let config = GovernorConfigBuilder::default()
        .period(quota.replenish_interval())
        .burst_size(quota.burst_size().get())
        .use_headers()
        .finish();
    Ok(bare().layer(GovernorLayer::new(config.context("a quota above zero")?)))
}

/// Returns a request as a server creates it: with the address of its peer.
fn request(path: &'static str) -> Request {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static(path);
    let peer = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 50_000));
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

/// Sends a request through the router. Every part is ready without waiting, so no runtime is needed or measured.
///
/// # Panics
///
/// Panics if the request waits or is rejected.
#[must_use]
pub fn send(app: &Router) -> Response {
    answer(app, request("/"))
}

/// Sends a request as a proxy forwards it.
///
/// # Panics
///
/// Panics if the request waits or is rejected.
#[must_use]
pub fn forward(app: &Router) -> Response {
    let mut request = request("/");
    request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static("198.51.100.1, 203.0.113.7"));
    answer(app, request)
}

/// Sends a request to [`RULED_PATH`].
///
/// # Panics
///
/// Panics if the request waits or is rejected.
#[must_use]
pub fn send_ruled(app: &Router) -> Response {
    answer(app, request(RULED_PATH))
}

#[expect(clippy::panic, reason = "what was measured would be something else")]
fn answer(app: &Router, request: Request) -> Response {
    let response = pin!(app.clone().oneshot(request));
    let Poll::Ready(Ok(response)) = response.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("a request waits");
    };
    assert_eq!(response.status(), StatusCode::OK);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_have_the_same_limit() {
        assert_eq!(Ample::RATE, Limit::AMPLE.rate);
    }

    #[test]
    fn limit_with_rules_applies_to_the_sent_request() {
        for app in [by_rules(), without_rules()] {
            assert!(send_ruled(&app).headers().contains_key("ratelimit"));
        }
    }

    #[test]
    fn functions_return_the_cost_and_the_rate_of_the_other_apps() {
        for (app, uid) in [(by_cost(), "benches:costing"), (by_rate(), "benches:rated")] {
            let response = send(&app);
            assert_eq!(response.headers()["ratelimit-policy"], format!("{uid:?};q=1000000000;w=3600000"));
            assert!(response.headers()["ratelimit"].to_str().unwrap().contains(";r=999999999;"));
        }
    }

    #[test]
    fn apps_with_a_limit_add_its_fields() {
        let fields = all().unwrap().map(|(_, app)| {
            let response = send(&app);
            let fields = response.headers().keys().filter(|name| name.as_str().contains("ratelimit"));
            fields.count()
        });
        assert_eq!(fields, [0, 2, 2, 2]);
    }
}
