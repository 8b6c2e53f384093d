//! The options of the attribute.

use axum::{
    Router,
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    routing::get,
};
use reqwest::Method;
use traffik::{
    Bypass, Client, ClientIp, Fields, ForwardedHeader, Limited, Rate, Rule, Settings, Throttle, Throttled,
    identity::{self, ByApiKey, Everyone, Named, by_header},
    on_error,
    strategy::TokenBucket,
    throttle_layer, throttled,
};

use crate::server::{Server, field};

/// The client that the request names.
struct ByName(String);

impl<S: Sync> FromRequestParts<S> for ByName {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let name = parts.headers.get("x-name").and_then(|name| name.to_str().ok());
        name.map(|name| Self(name.to_owned())).ok_or(StatusCode::UNAUTHORIZED)
    }
}

impl From<ByName> for Client {
    fn from(ByName(name): ByName) -> Self {
        Self::from(name)
    }
}

fn by_name(parts: &Parts) -> Option<String> {
    parts.headers.get("x-name").and_then(|name| name.to_str().ok()).map(str::to_owned)
}

fn by_function(parts: &Parts) -> Result<String, StatusCode> {
    by_name(parts).ok_or(StatusCode::UNAUTHORIZED)
}

async fn by_async_function(parts: &Parts) -> Result<String, StatusCode> {
    by_function(parts)
}

#[throttled("settings:identity:function", "1/min", identity = by_function)]
async fn identity_function() {}

#[throttled("settings:identity:closure", "1/min", identity = |parts| by_name(parts).ok_or("no name"))]
async fn identity_closure() {}

#[throttled("settings:identity:async", "1/min", async_identity = by_async_function)]
async fn async_identity() {}

#[throttled("settings:identity:everyone", "1/min", identity = Everyone)]
async fn everyone() {}

#[throttled("settings:identity:header", "1/min", identity = by_header("x-name"))]
async fn ready_header() {}

#[throttled("settings:identity:token", "1/min", identity = identity::by_bearer_token)]
async fn ready_token() {}

struct Name;

impl Named for Name {
    const NAME: &'static str = "x-name";
}

#[derive(Throttle)]
#[limit("settings:identity:key", "1/min", identity = ByApiKey<Name>)]
struct OfKey;

#[throttled("settings:denied", "9/min", deny_networks = ["192.0.2.0/24"], deny_networks = ["127.0.0.0/8"])]
async fn denied() {}

#[throttled("settings:bypass:network", "1/min", bypass = Bypass::networks(["127.0.0.1"]))]
async fn office() {}

#[throttled("settings:client-ip", "1/min", client_ip = ClientIp::behind_hops(1).header(ForwardedHeader::XRealIp))]
async fn address() {}

#[throttled(
    "settings:rules",
    "1/min",
    rule = Rule::methods([Method::GET]),
    rule = Rule::path("/rules/**"),
    bypass = Bypass::path("/rules/free"),
    bypass = Bypass::path("/rules/open"),
)]
async fn rules() {}

#[throttled("settings:responder", "1/min", responder = |_: &Limited| StatusCode::IM_A_TEAPOT)]
async fn responder() {}

#[throttled("settings:fields", "5/min", fields = Fields::x_ratelimit())]
#[throttled("settings:hidden", "1/min", hidden, refuse_with_503)]
async fn fields() {}

#[throttled("settings:dry-run", "1/min", dry_run, warn_at = 0.5)]
async fn dry_run() {}

#[derive(Throttle)]
#[limit("settings:charge-preflights", "1/min", charge_preflights)]
struct Preflights;

#[throttled("settings:unit", "2/min", strategy = TokenBucket)]
async fn unit() {}

const BURST: u64 = 3;

#[throttled("settings:strategy", "1/min", strategy = TokenBucket::new().burst(BURST))]
async fn strategy() {}

#[throttled("settings:identity", "1/min", identity = ByName)]
async fn identity() {}

#[throttled("settings:cost", "10/min", cost = 2 * 2)]
async fn cost() {}

#[throttled("settings:cost-of", "10/min", cost_of = |parts| if parts.uri.path() == "/free" { 0 } else { 4 })]
async fn cost_of() {}

#[throttled("settings:async-cost-of", "10/min", async_cost_of = five)]
async fn async_cost_of() {}

async fn five(_: &Parts) -> Result<u64, StatusCode> {
    Ok(5)
}

#[throttled("settings:rate-of", "1/min", rate_of = |_, _| Rate::literal("2/min"), cost = 2)]
async fn rate_of() {}

#[throttled("settings:async-rate-of", "1/min", async_rate_of = two)]
async fn async_rate_of() {}

async fn two(_: &Parts, client: &Client) -> Rate {
    if client.is_exempt() { Rate::UNLIMITED } else { Rate::literal("2/min") }
}

const LOCAL: &str = "local";

#[throttled("settings:backend", "1/min", backend = LOCAL)]
async fn backend() {}

#[throttled("settings:backend-of", "1/min", backend_of = |_| LOCAL, label = "settings")]
async fn backend_of() {}

#[throttled("settings:backend:both", "2/min", backend = "local")]
#[throttled("settings:backend:all", "3/hour", settings = |settings| settings.backend(LOCAL))]
async fn one_backend() {}

#[throttled("settings:function", "1/min", settings = three_at_once)]
async fn function() {}

#[throttled("settings:closure", "10/min", settings = |settings| settings.cost(5), cost = 1)]
async fn closure() {}

fn three_at_once(settings: Settings) -> Settings {
    settings.strategy(TokenBucket::new().burst(3))
}

#[derive(Throttle)]
#[limit("settings:derived", "10/min", identity = self::ByName, strategy = TokenBucket::new().burst(4), cost = 2,)]
struct Derived;

#[derive(Throttle)]
#[limit("settings:on-error", "1/min", on_error = on_error::Allow, max_waiters = 50)]
struct Lenient;

#[derive(Throttle)]
#[limit("settings:enum", "0/0")]
enum Unlimited {}

async fn derived(permit: Throttled<(Derived, Unlimited)>) -> String {
    permit.tightest().remaining().to_string()
}

fn routes() -> Router {
    Router::new()
        .route("/strategy", get(strategy))
        .route("/identity", get(identity))
        .route("/everyone", get(everyone))
        .route("/ready_header", get(ready_header))
        .route("/ready_token", get(ready_token))
        .route("/ready_key", get(async |_: Throttled<OfKey>| {}))
        .route("/denied", get(denied))
        .route("/office", get(office))
        .route("/identity_function", get(identity_function))
        .route("/identity_closure", get(identity_closure))
        .route("/async_identity", get(async_identity))
        .route("/address", get(address))
        .route("/rules/{name}", get(rules))
        .route("/responder", get(responder))
        .route("/fields", get(fields))
        .route("/unit", get(unit))
        .route("/preflights", get(async || {}).options(async || {}).route_layer(throttle_layer::<Preflights>()))
        .route("/cost", get(cost))
        .route("/cost_of", get(cost_of))
        .route("/free", get(cost_of))
        .route("/async_cost_of", get(async_cost_of))
        .route("/rate_of", get(rate_of))
        .route("/async_rate_of", get(async_rate_of))
        .route("/backend_of", get(backend_of))
        .route("/backend", get(backend))
        .route("/one_backend", get(one_backend))
        .route("/function", get(function))
        .route("/closure", get(closure))
        .route("/derived", get(derived))
}

#[tokio::test]
async fn option_does_the_same_as_the_setting_of_its_name() {
    let server = Server::start(routes()).await;
    assert_eq!(server.statuses("/strategy", 4).await, [200, 200, 200, 429]);
    assert_eq!(server.statuses("/unit", 3).await, [200, 200, 429]);
    assert_eq!(server.statuses("/responder", 2).await, [200, 418]);
    assert_eq!(server.statuses("/cost", 3).await, [200, 200, 429]);
    assert_eq!(server.statuses("/cost_of", 3).await, [200, 200, 429]);
    assert_eq!(server.statuses("/free", 3).await, [200, 200, 200]);
    assert_eq!(server.statuses("/async_cost_of", 3).await, [200, 200, 429]);
    assert_eq!(server.statuses("/rate_of", 2).await, [200, 429]);
    assert_eq!(server.statuses("/async_rate_of", 3).await, [200, 200, 429]);
    assert_eq!(server.statuses("/function", 4).await, [200, 200, 200, 429]);
    assert_eq!(server.statuses("/closure", 3).await, [200, 200, 429]);
}

#[tokio::test]
async fn repeated_rules_and_bypasses_are_combined() {
    let server = Server::start(routes()).await;
    assert_eq!(server.statuses("/rules/limited", 2).await, [200, 429]);
    assert_eq!(server.statuses("/rules/free", 2).await, [200, 200]);
    assert_eq!(server.statuses("/rules/open", 2).await, [200, 200]);
}

#[tokio::test]
async fn ready_identities_are_options() {
    let server = Server::start(routes()).await;
    let status = async |path: &'static str, name: &'static str, value: &'static str| {
        server.request(Method::GET, path).header(name, value).send().await.unwrap().status().as_u16()
    };
    assert_eq!(server.statuses("/everyone", 2).await, [200, 429]);
    for (path, missing, name) in
        [("/ready_header", 400, "x-name"), ("/ready_key", 401, "x-name"), ("/ready_token", 401, "authorization")]
    {
        assert_eq!(server.statuses(path, 1).await, [missing], "{path}");
        let both = [status(path, name, "Bearer a").await, status(path, name, "Bearer b").await];
        assert_eq!((both, status(path, name, "Bearer a").await), ([200, 200], 429), "{path}");
    }
}

#[tokio::test]
async fn networks_are_denied_and_exempt() {
    let server = Server::start(routes()).await;
    assert_eq!(server.statuses("/denied", 2).await, [403, 403]);
    assert_eq!(server.statuses("/office", 2).await, [200, 200]);
}

#[tokio::test]
async fn flag_without_a_value_is_set() {
    let server = Server::start(routes()).await;
    for status in [200, 429] {
        let preflight = server.request(Method::OPTIONS, "/preflights").header("origin", "https://example.com");
        let preflight = preflight.header("access-control-request-method", "GET");
        assert_eq!(preflight.send().await.unwrap().status(), status);
    }
}

#[tokio::test]
async fn field_options_select_the_fields_and_the_status() {
    let server = Server::start(routes()).await;
    for status in [200, 503] {
        let response = server.get("/fields").await;
        assert_eq!((response.status().as_u16(), field(&response, "x-ratelimit-limit")), (status, "5".to_owned()));
        assert_eq!(field(&response, "ratelimit"), "");
    }
}

#[tokio::test]
async fn backend_option_selects_the_backend() {
    let server = Server::start(routes()).await;
    assert_eq!(server.statuses("/function", 1).await, [200]);
    assert_eq!(server.local.len(), 0);
    assert_eq!(server.statuses("/backend", 2).await, [200, 429]);
    assert_eq!(server.local.len(), 1);
    assert_eq!(server.statuses("/one_backend", 3).await, [200, 200, 429]);
    assert_eq!(server.local.len(), 3);
    assert_eq!(server.statuses("/backend_of", 2).await, [200, 429]);
    assert_eq!(server.local.len(), 4);
}

#[test]
fn on_error_option_sets_the_policy() {
    assert!(format!("{:?}", Lenient::settings()).contains("Allow"));
}

#[test]
fn max_waiters_option_sets_the_number_of_waiters() {
    assert!(format!("{:?}", Lenient::settings()).contains("max_waiters: 50"));
}

#[tokio::test]
async fn identity_option_identifies_the_client() {
    let server = Server::start(routes()).await;
    let status = async |path: &'static str, name: &'static str| {
        server.request(Method::GET, path).header("x-name", name).send().await.unwrap().status().as_u16()
    };
    assert_eq!(server.statuses("/identity", 1).await, [401]);
    assert_eq!(status("/identity", "alice").await, 200);
    assert_eq!(status("/identity", "alice").await, 429);
    assert_eq!(status("/identity", "bob").await, 200);

    for path in ["/identity_function", "/async_identity"] {
        assert_eq!(server.statuses(path, 1).await, [401]);
        assert_eq!(
            [status(path, "alice").await, status(path, "alice").await, status(path, "bob").await],
            [200, 429, 200]
        );
    }
    assert_eq!([status("/identity_closure", "alice").await, status("/identity_closure", "alice").await], [200, 429]);
    for (address, expected) in [("203.0.113.7", 200), ("203.0.113.7", 429), ("203.0.113.8", 200)] {
        let request = server.request(Method::GET, "/address").header("x-real-ip", address);
        assert_eq!(request.send().await.unwrap().status(), expected);
    }

    assert_eq!(server.statuses("/derived", 1).await, [401]);
    for expected in [200, 200, 429] {
        assert_eq!(status("/derived", "alice").await, expected);
    }
}
