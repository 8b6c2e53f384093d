//! Throttles in apps with state.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Router,
    extract::{FromRef, FromRequestParts, Request, State},
    http::{StatusCode, request::Parts},
    middleware::from_extractor_with_state,
    routing::get,
};
use traffik::{Client, Settings, Throttled, throttle_layer};

use super::{
    app::{throttle, traffik},
    server::{Reply, Server},
};

/// The tenant of each API key.
#[derive(Clone)]
struct Tenants(Arc<HashMap<&'static str, u64>>);

#[derive(Clone)]
struct AppState {
    tenants: Tenants,
    greeting: &'static str,
}

impl FromRef<AppState> for Tenants {
    fn from_ref(state: &AppState) -> Self {
        state.tenants.clone()
    }
}

fn state() -> AppState {
    AppState { tenants: Tenants(Arc::new([("alpha", 1), ("beta", 1), ("gamma", 2)].into())), greeting: "hello" }
}

/// The tenant whose key is in the request.
struct Tenant(u64);

impl<S> FromRequestParts<S> for Tenant
where
    Tenants: FromRef<S>,
    S: Sync,
{
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, StatusCode> {
        let key = parts.headers.get("x-api-key").and_then(|key| key.to_str().ok()).ok_or(StatusCode::UNAUTHORIZED)?;
        Tenants::from_ref(state).0.get(key).copied().map(Self).ok_or(StatusCode::FORBIDDEN)
    }
}

impl From<Tenant> for Client {
    fn from(Tenant(id): Tenant) -> Self {
        Self::from(("tenant", id))
    }
}

throttle!(PerTenant, "per-tenant", "2/min", Settings::new(), Tenant);
throttle!(PerAddress, "per-address", "9/min");

async fn by_key(server: &Server, path: &str, key: &'static str) -> Reply {
    server.send(Request::get(path).header("x-api-key", key), "").await
}

#[tokio::test]
async fn identity_extractor_reads_the_state() {
    let (traffik, _) = traffik();
    let handler = |_: Throttled<(PerTenant, PerAddress)>, State(state): State<AppState>| async move { state.greeting };
    let app = Router::new().route("/", get(handler)).with_state(state()).layer(traffik.layer());
    let server = Server::start(app).await;

    let first = by_key(&server, "/", "alpha").await;
    assert_eq!(
        (first.body.as_str(), first.state()),
        ("hello", Some(r#""per-tenant";r=1;t=60, "per-address";r=8;t=60"#))
    );
    let another_key = by_key(&server, "/", "beta").await;
    assert_eq!(another_key.state(), Some(r#""per-tenant";r=0;t=60, "per-address";r=7;t=60"#));
    let another_tenant = by_key(&server, "/", "gamma").await;
    assert_eq!(another_tenant.state(), Some(r#""per-tenant";r=1;t=60, "per-address";r=6;t=60"#));
    assert_eq!(by_key(&server, "/", "alpha").await.status, 429);
}

#[tokio::test]
async fn layer_with_a_state_identity_gets_the_state() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|permit: Throttled<PerTenant>| async move { permit.tightest().remaining().to_string() }))
        .layer(from_extractor_with_state::<Throttled<PerTenant>, _>(state()))
        .with_state(state())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(by_key(&server, "/", "gamma").await.body, "1");
    assert_eq!(by_key(&server, "/", "gamma").await.body, "0");
    assert_eq!(by_key(&server, "/", "gamma").await.status, 429);
    assert_eq!(by_key(&server, "/", "delta").await.status, 403);
}

#[tokio::test]
async fn stateless_throttles_work_in_a_router_with_state() {
    let (traffik, _) = traffik();
    let module = || -> Router<AppState> {
        Router::new()
            .route("/", get(|_: Throttled<PerAddress>, State(tenants): State<Tenants>| async move {
                tenants.0.len().to_string()
            }))
            .route_layer(throttle_layer::<PerAddress>())
    };
    let app: Router<AppState> = Router::new().nest("/a", module()).merge(module()).layer(traffik.layer());
    let server = Server::start(app.with_state(state())).await;

    assert_eq!(server.get("/a").await.body, "3");
    assert_eq!(server.get("/").await.state(), Some(r#""per-address";r=7;t=60"#));
}
