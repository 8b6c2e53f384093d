//! Routers of one route, held to a limit or not, and how a request runs through one without a socket.

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

/// The same limit, where it is asked of each request whether it applies: by its method, its path and what opens a WebSocket.
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

/// The same limit, whose cost a function of the request tells.
#[derive(Throttle)]
#[limit("benches:costing", "1_000_000_000/1000h", cost_of = by_header)]
struct Costing;

fn by_header(parts: &Parts) -> u64 {
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or(1)
}

/// The same limit, whose rate a function of the request and its client tells.
#[derive(Throttle)]
#[limit("benches:rated", "1/h", rate_of = by_plan)]
struct Rated;

/// A plan, as a middleware puts it into requests. These have none.
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

/// All of them, by what they are called in tables: first the bare handler, then `tower_governor`, then traffik.
///
/// # Errors
///
/// When `tower_governor` does not take the limit.
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

/// traffik, whose limit the handler asks for.
pub fn by_argument() -> Router {
    traffik(get(argument))
}

/// The same behind the proxy that requests of these benches come from.
///
/// # Errors
///
/// When it cannot be set up.
pub fn behind_proxy() -> Result<Router> {
    let client_ip = ClientIp::behind(["10.0.0.0/8"])?;
    let traffik = Traffik::builder(MemoryBackend::new("benches")).client_ip(client_ip).build()?;
    Ok(Router::new().route("/", get(argument)).layer(traffik.layer()))
}

/// traffik, whose limit has rules, for a path of some length: [`RULED_PATH`].
pub fn by_rules() -> Router {
    at(RULED_PATH, get(ruled))
}

/// The same without rules.
pub fn without_rules() -> Router {
    at(RULED_PATH, get(argument))
}

/// traffik, whose limit asks a function what a request costs.
pub fn by_cost() -> Router {
    traffik(get(costing))
}

/// traffik, whose limit asks a function which rate a client has.
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

/// A request as a server makes it: with the address of its peer.
fn request(path: &'static str) -> Request {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static(path);
    let peer = SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 50_000));
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

/// Sends a request through the router, whose every part is ready at once: no runtime is needed, nor its time counted.
///
/// # Panics
///
/// When the request is not answered, or turned away.
#[must_use]
pub fn send(app: &Router) -> Response {
    answer(app, request("/"))
}

/// The same as a proxy sends it on.
///
/// # Panics
///
/// When the request is not answered, or turned away.
#[must_use]
pub fn forward(app: &Router) -> Response {
    let mut request = request("/");
    request.headers_mut().insert("x-forwarded-for", HeaderValue::from_static("198.51.100.1, 203.0.113.7"));
    answer(app, request)
}

/// A request to [`RULED_PATH`].
///
/// # Panics
///
/// When the request is not answered, or turned away.
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
    fn all_have_the_same_limit() {
        assert_eq!(Ample::RATE, Limit::AMPLE.rate);
    }

    #[test]
    fn a_limit_with_rules_applies_to_what_is_sent() {
        for app in [by_rules(), without_rules()] {
            assert!(send_ruled(&app).headers().contains_key("ratelimit"));
        }
    }

    #[test]
    fn a_function_tells_the_cost_and_the_rate_that_the_others_have() {
        for (app, uid) in [(by_cost(), "benches:costing"), (by_rate(), "benches:rated")] {
            let response = send(&app);
            assert_eq!(response.headers()["ratelimit-policy"], format!("{uid:?};q=1000000000;w=3600000"));
            assert!(response.headers()["ratelimit"].to_str().unwrap().contains(";r=999999999;"));
        }
    }

    #[test]
    fn all_but_the_bare_handler_tell_how_the_client_stands() {
        let told = all().unwrap().map(|(_, app)| {
            let response = send(&app);
            let told = response.headers().keys().filter(|name| name.as_str().contains("ratelimit"));
            told.count()
        });
        assert_eq!(told, [0, 2, 2, 2]);
    }
}
