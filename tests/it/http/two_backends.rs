//! An app with an additional backend for some limits.

use axum::{Router, routing::get};
use traffik::{
    ConfigError, Settings, Throttle, ThrottleRejection, Throttled, Traffik, backend::MemoryBackend, test::ManualClock,
    throttle_layer,
};

use super::{
    app::{HERE, throttle},
    backends::Unsteady,
    server::Server,
};

throttle!(Own, "own", "9/min");
throttle!(OwnToo, "own-too", "9/min");
throttle!(Local, "local", "9/min", Settings::new().backend("local"));
throttle!(Narrow, "narrow", "1/min", Settings::new().backend("local"));
throttle!(Elsewhere, "elsewhere", "9/min", Settings::new().backend("elsewhere"));

/// Returns a handle, its own store, and the additional store, which has another clock.
fn app() -> Result<(Traffik, Unsteady, Unsteady), ConfigError> {
    let store = || Unsteady::new(MemoryBackend::with_clock("test", ManualClock::new()));
    let (own, local) = (store(), store());
    Ok((Traffik::builder(own.clone()).backend("local", local.clone()).build()?, own, local))
}

async fn remaining<T: Throttle>(traffik: &Traffik) -> u64 {
    traffik
        .limiter::<T>(HERE)
        .peek()
        .await
        .map_or(u64::MAX, |limits| limits.tightest().remaining().units().unwrap_or(u64::MAX))
}

#[tokio::test]
async fn arguments_and_layers_are_counted_in_their_own_backends() {
    let (traffik, own, local) = app().unwrap();
    let inner = Router::new().route("/", get(|_: Throttled<Own>, _: Throttled<(Local, Narrow)>| async {}));
    let server = Server::start(inner.layer(throttle_layer::<OwnToo>()).layer(traffik.layer())).await;

    let admitted = server.get("/").await;
    assert_eq!(admitted.status, 200);
    assert_eq!(admitted.state(), Some(r#""own-too";r=8;t=60, "own";r=8;t=60, "local";r=8;t=60, "narrow";r=0;t=60"#));
    assert_eq!((own.len(), local.len()), (2, 2));
}

#[tokio::test]
async fn refusal_refunds_each_backend_its_own_charges() {
    let (traffik, ..) = app().unwrap();
    let handler = |_: Throttled<Own>, _: Throttled<Local>, _: Throttled<OwnToo>, _: Throttled<Narrow>| async {};
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let server = Server::start(app).await;

    let admitted = server.get("/").await;
    assert_eq!(admitted.status, 200);
    for _ in 0..3 {
        let refused = server.get("/").await;
        assert_eq!((refused.status, refused.state()), (429, admitted.state()));
        let remains = (remaining::<Own>(&traffik).await, remaining::<Local>(&traffik).await);
        assert_eq!((remains, remaining::<OwnToo>(&traffik).await), ((8, 8), 8));
    }
}

#[tokio::test]
async fn failed_refund_in_one_backend_does_not_stop_the_other() {
    for broken in ["own", "local"] {
        let (traffik, own, local) = app().unwrap();
        let handler = |_: Throttled<Own>, _: Throttled<Local>, _: Throttled<Narrow>| async {};
        let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
        assert_eq!(server.get("/").await.status, 200);

        if broken == "own" {
            own.refunds_fail()
        } else {
            local.refunds_fail()
        }
        assert_eq!(server.get("/").await.status, 429);
        let expected = if broken == "own" { (7, 8) } else { (8, 7) };
        assert_eq!((remaining::<Own>(&traffik).await, remaining::<Local>(&traffik).await), expected, "{broken}");
    }
}

#[tokio::test]
async fn failed_backend_does_not_affect_limits_in_the_other() {
    let (traffik, own, local) = app().unwrap();
    let routes = Router::new()
        .route("/own", get(|_: Throttled<Own>| async {}))
        .route("/local", get(|_: Throttled<Local>| async {}));
    let server = Server::start(routes.layer(traffik.layer())).await;
    let statuses = async || (server.get("/own").await.status, server.get("/local").await.status);

    own.fails();
    assert_eq!(statuses().await, (503, 200));
    own.answers();
    local.fails();
    assert_eq!(statuses().await, (200, 503));
}

#[tokio::test]
async fn tuple_across_backends_is_a_500_that_names_both_and_charges_none() {
    let (traffik, own, local) = app().unwrap();
    let caught = |permit: Result<Throttled<(Local, Own)>, ThrottleRejection>| async move {
        matches!(permit, Err(ThrottleRejection::Misconfigured(_))).to_string()
    };
    let routes = Router::new()
        .route("/", get(|_: Throttled<(Own, Local)>| async {}))
        .route("/layer", get(|| async {}).layer(throttle_layer::<(Own, OwnToo, Local)>()))
        .route("/caught", get(caught));
    let server = Server::start(routes.layer(traffik.layer())).await;

    for path in ["/", "/layer"] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.state()), (500, None));
        for part in [r#""own" (in the app's own backend)"#, r#""local" (in the backend "local")"#] {
            assert!(reply.body.contains(part), "{}", reply.body);
        }
    }
    assert_eq!(server.get("/caught").await.body, "true");
    assert_eq!((own.len(), local.len()), (0, 0));
}

#[tokio::test]
async fn missing_backend_is_a_500_that_names_the_fix() {
    let (traffik, ..) = app().unwrap();
    let app = Router::new().route("/", get(|_: Throttled<Elsewhere>| async {})).layer(traffik.layer());
    let reply = Server::start(app).await.get("/").await;
    assert_eq!(reply.status, 500);
    assert!(reply.body.contains("`Traffik::builder(..).backend(\"elsewhere\", ..)`"), "{}", reply.body);
}

#[tokio::test]
async fn two_handles_in_one_request_are_refunded_separately() {
    let ((outer, ..), (inner, ..)) = (app().unwrap(), app().unwrap());
    let handler = |_: Throttled<Own>, _: Throttled<Narrow>| async {};
    let routes = Router::new().route("/", get(handler)).layer(inner.layer());
    let server = Server::start(routes.layer(throttle_layer::<Local>()).layer(outer.layer())).await;

    assert_eq!(server.get("/").await.status, 200);
    assert_eq!(server.get("/").await.status, 429);
    assert_eq!((remaining::<Local>(&outer).await, remaining::<Own>(&inner).await), (8, 8));
}
