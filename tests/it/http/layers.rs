//! Throttles as layers around routers.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::from_extractor,
    response::Response,
    routing::{any, get, post},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use traffik::{Throttled, Traffik, backend::MemoryBackend, test::ManualClock, test::RequestExt, throttle_layer};

use super::{
    app::{HERE, throttle, traffik},
    backends::Unsteady,
    server::Server,
};

throttle!(ApiV1, "api:v1", "3/min");
throttle!(Site, "site", "9/min");

async fn left(traffik: &Traffik) -> u64 {
    traffik
        .limiter::<ApiV1>(HERE)
        .peek()
        .await
        .map_or(u64::MAX, |limits| limits.tightest().remaining().units().unwrap_or(u64::MAX))
}

#[tokio::test]
async fn layer_shares_one_limit_among_all_paths_and_methods() {
    let (traffik, _) = traffik();
    let api = Router::new()
        .route("/users", get(|| async { "users" }).post(|| async { "made" }))
        .route("/users/{id}", any(|| async { "user" }));
    let app = Router::new()
        .nest("/api/v1", api.route_layer(throttle_layer::<ApiV1>()))
        .route("/", get(|| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/api/v1/users?page=1").await.body, "users");
    assert_eq!(server.send(Request::post("/api/v1/users"), "").await.body, "made");
    assert_eq!(server.send(Request::delete("/api/v1/users/7"), "").await.body, "user");
    assert_eq!(server.get("/api/v1/users/8").await.status, 429);
    assert_eq!(server.get("/").await.status, 200);
}

#[tokio::test]
async fn route_layer_does_not_charge_unknown_paths() {
    let (traffik, _) = traffik();
    let api = Router::new().route("/users", get(|| async {})).route_layer(throttle_layer::<ApiV1>());
    let server = Server::start(Router::new().nest("/api", api).layer(traffik.layer())).await;

    for _ in 0..5 {
        let reply = server.get("/api/nowhere").await;
        assert_eq!((reply.status, reply.state()), (404, None));
    }
    assert_eq!(left(&traffik).await, 3);
}

#[tokio::test]
async fn from_extractor_layer_accepts_throttled() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|| async {}))
        .layer(from_extractor::<Throttled<(ApiV1, Site)>>())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.state(), Some(r#""api:v1";r=2;t=60, "site";r=8;t=60"#));
    assert_eq!(
        [server.get("/").await.status, server.get("/").await.status, server.get("/").await.status],
        [200, 200, 429]
    );
}

#[tokio::test]
async fn fallback_and_single_method_can_be_throttled() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|| async {}).merge(post(|| async {}).layer(throttle_layer::<ApiV1>())))
        .fallback(|_: Throttled<Site>| async { "nothing here" })
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.state(), None);
    assert_eq!(server.send(Request::post("/"), "").await.state(), Some(r#""api:v1";r=2;t=60"#));
    assert_eq!(server.get("/nowhere").await.state(), Some(r#""site";r=8;t=60"#));
}

#[tokio::test]
async fn connections_and_clones_share_one_limit() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|| async {}).layer(throttle_layer::<ApiV1>())).layer(traffik.layer());
    let (server, other) = (Server::start(app.clone()).await, Server::start(app).await);

    assert_eq!(server.get("/").await.status, 200);
    assert_eq!(server.reconnected().get("/").await.status, 200);
    assert_eq!(other.get("/").await.status, 200);
    assert_eq!(server.reconnected().get("/").await.status, 429);
}

/// Returns a throttled service, and the number of calls of its inner service.
fn counted(
    traffik: &Traffik,
) -> (impl Service<Request, Response = Response, Error = Infallible> + Clone, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let inner = service_fn({
        let calls = Arc::clone(&calls);
        // The work of a service before it returns its future counts as well.
        move |_: Request| {
            calls.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, Infallible>(Response::new(Body::empty())) }
        }
    });
    (traffik.layer().layer(throttle_layer::<ApiV1>().layer(inner)), calls)
}

#[tokio::test]
async fn full_limit_does_not_call_the_inner_service() {
    let (traffik, _) = traffik();
    let (service, calls) = counted(&traffik);
    let request = || Request::new(Body::empty()).with_peer("127.0.0.1:1");

    for status in [200, 200, 200, 429, 429] {
        assert_eq!(service.clone().oneshot(request()).await.unwrap().status(), status);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn pending_decision_does_not_call_the_inner_service() {
    let clock = ManualClock::new();
    let backend = Unsteady::new(MemoryBackend::with_clock("test", clock.clone()));
    let traffik = Traffik::new(backend.clone()).unwrap();
    let (service, calls) = counted(&traffik);
    backend.hangs();

    let asked = async {
        backend.asked(1).await;
        assert_eq!(calls.load(Ordering::SeqCst), 0);
        clock.advance(Duration::from_millis(100));
    };
    let request = Request::new(Body::empty()).with_peer("127.0.0.1:1");
    let (response, ()) = tokio::join!(service.oneshot(request), asked);
    assert_eq!((response.unwrap().status().as_u16(), calls.load(Ordering::SeqCst)), (503, 0));
}

#[tokio::test]
async fn layer_sets_the_response_fields_after_another_handle() {
    let (outer, _) = traffik();
    let (inner, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Site>| async {}))
        .layer(inner.layer())
        .layer(throttle_layer::<ApiV1>())
        .layer(axum::Extension(outer));
    let reply = Server::start(app).await.get("/").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.state(), Some(r#""api:v1";r=2;t=60, "site";r=8;t=60"#));
}
