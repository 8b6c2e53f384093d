//! CORS preflights bypass a layer, but not a limit in the handler.

use axum::{Router, extract::Request, http::request::Builder, routing::any};
use traffik::{Settings, Throttled, throttle_layer};

use super::{
    app::{builder, throttle, traffik},
    server::Server,
};

throttle!(Lenient, "preflights:lenient", "1/min");
throttle!(Strict, "preflights:strict", "1/min", Settings::new().charge_preflights());

fn preflight() -> Builder {
    Request::options("/").header("origin", "https://example.com").header("access-control-request-method", "PUT")
}

#[tokio::test]
async fn layer_does_not_charge_preflights() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", any(|| async {})).layer(throttle_layer::<Lenient>()).layer(traffik.layer());
    let server = Server::start(app).await;
    for _ in 0..3 {
        let reply = server.send(preflight(), "").await;
        assert_eq!((reply.status, reply.state()), (200, None));
    }
    assert_eq!(server.get("/").await.state(), Some(r#""preflights:lenient";r=0;t=60"#));
    assert_eq!(server.send(preflight(), "").await.status, 200);
    assert_eq!(server.get("/").await.status, 429);
}

#[tokio::test]
async fn request_that_resembles_a_preflight_is_charged() {
    let requests = [
        Request::options("/").header("origin", "https://example.com"),
        Request::options("/").header("access-control-request-method", "PUT"),
        Request::post("/").header("origin", "https://example.com").header("access-control-request-method", "PUT"),
    ];
    for request in requests {
        let (traffik, _) = traffik();
        let app = Router::new().route("/", any(|| async {})).layer(throttle_layer::<Lenient>()).layer(traffik.layer());
        let server = Server::start(app).await;
        assert_eq!(server.send(request, "").await.state(), Some(r#""preflights:lenient";r=0;t=60"#));
    }
}

#[tokio::test]
async fn layer_charges_preflights_if_configured() {
    let (traffik, _) = traffik();
    let both = throttle_layer::<(Lenient, Strict)>();
    let app = Router::new().route("/", any(|| async {})).layer(both).layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.send(preflight(), "").await.state(), Some(r#""preflights:strict";r=0;t=60"#));
    assert_eq!(server.send(preflight(), "").await.status, 429);

    let traffik = builder().0.charge_preflights().build().unwrap();
    let app = Router::new().route("/", any(|| async {})).layer(throttle_layer::<Lenient>()).layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.send(preflight(), "").await.status, 200);
    assert_eq!(server.send(preflight(), "").await.status, 429);
}

#[tokio::test]
async fn throttle_of_a_handler_charges_preflights() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", any(|_: Throttled<Lenient>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.send(preflight(), "").await.status, 200);
    assert_eq!(server.send(preflight(), "").await.status, 429);
}
