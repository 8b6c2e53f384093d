//! Charges that are refunded by the response.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::{WebSocketUpgrade, ws::WebSocket},
    http::{HeaderName, Request, StatusCode, header, response},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use futures_util::{future::join_all, stream};
use tests::until_idle;
use tower::ServiceExt;
use traffik::{
    Concurrency, ConfigError, LeakyBucketWithQueue, Limits, MemoryBackend, Settings, Throttle, Throttled, Traffik,
    refund_if,
    test::{ManualClock, RequestExt},
    throttle_layer,
    web::ws::Messages,
};

use super::{Result, remaining};
use crate::{
    gated::{Gated, until},
    http::{
        app::{HERE, throttle, traffik},
        server::Server,
    },
};

throttle!(Login, "refund_if:login", "5/min", Settings::new().refund_if(refund_if::success));
throttle!(Errors, "refund_if:errors", "5/min", Settings::new().refund_if(refund_if::server_error));
throttle!(Cached, "refund_if:cached", "5/min", Settings::new().refund_if(is_cached));
throttle!(Plain, "refund_if:plain", "5/min");
throttle!(Held, "refund_if:held", "5/30s", Settings::new().strategy(Concurrency).refund_if(refund_if::success));
throttle!(
    Queue,
    "refund_if:queue",
    "5/s",
    Settings::new().strategy(LeakyBucketWithQueue::new().queue(5)).refund_if(refund_if::success)
);

fn is_cached(response: &response::Parts) -> bool {
    response.headers.contains_key("x-cached")
}

/// Accepts the password "secret".
async fn login(_: Throttled<Login>, password: String) -> StatusCode {
    if password == "secret" { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
}

#[tokio::test]
async fn concurrent_wrong_passwords_admit_exactly_the_limit() -> Result {
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", post(login)).layer(traffik.layer())).await;
    let attempts = (0..100).map(|_| {
        let server = server.clone();
        async move { server.send(Request::post("/"), "wrong").await.status }
    });
    let statuses = join_all(attempts).await;
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(401), count(429)), (5, 95));
    Ok(())
}

#[tokio::test]
async fn response_that_meets_the_condition_is_free_and_shown_as_free() -> Result {
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().route("/", post(login)).layer(traffik.layer())).await;
    let first = server.send(Request::post("/"), "wrong").await;
    assert_eq!(first.state(), Some(r#""refund_if:login";r=4;t=60"#));
    for _ in 0..9 {
        let free = server.send(Request::post("/"), "secret").await;
        assert_eq!((free.status, free.state()), (204, first.state()));
    }
    assert_eq!(remaining::<Login>(&traffik, HERE).await?, 4);
    Ok(())
}

#[tokio::test]
async fn any_of_several_conditions_suffices() -> Result {
    let (traffik, _) = traffik();
    let handler = |_: Throttled<Plain>| async { StatusCode::NOT_MODIFIED };
    let layer = throttle_layer::<Plain>()
        .refund_if::<Plain>(refund_if::status(StatusCode::IM_A_TEAPOT))
        .refund_if::<Plain>(refund_if::status(StatusCode::NOT_MODIFIED));
    let app = Router::new().route("/", get(handler)).route_layer(layer).layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.get("/").await.status, 304);
    assert_eq!(remaining::<Plain>(&traffik, HERE).await?, 5);
    Ok(())
}

#[tokio::test]
async fn condition_of_an_inner_layer_refunds_what_an_outer_one_charged() -> Result {
    let (traffik, _) = traffik();
    let inner = throttle_layer::<Plain>().refund_if::<Plain>(refund_if::success);
    let app = Router::new()
        .route("/refunded", get(|| async {}).layer(inner))
        .route("/charged", get(|_: Throttled<Plain>| async {}))
        .route_layer(throttle_layer::<Plain>())
        .layer(traffik.layer());
    let server = Server::start(app).await;
    for (path, left) in [("/refunded", 5), ("/charged", 4), ("/refunded", 4)] {
        assert_eq!(server.get(path).await.status, 200);
        assert_eq!(remaining::<Plain>(&traffik, HERE).await?, left, "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn condition_sees_middleware_inside_of_the_layer_and_not_outside() -> Result {
    async fn mark(mut response: Response) -> Response {
        response.headers_mut().insert(HeaderName::from_static("x-cached"), header::HeaderValue::from_static("1"));
        response
    }
    let (traffik, _) = traffik();
    let routes = || Router::new().route("/", get(|_: Throttled<Cached>| async {}));
    let inside = routes().layer(middleware::map_response(mark)).layer(traffik.layer());
    assert_eq!(Server::start(inside).await.get("/").await.status, 200);
    assert_eq!(remaining::<Cached>(&traffik, HERE).await?, 5);

    let outside = routes().layer(traffik.layer()).layer(middleware::map_response(mark));
    assert_eq!(Server::start(outside).await.get("/").await.header("x-cached"), Some("1"));
    assert_eq!(remaining::<Cached>(&traffik, HERE).await?, 4);
    Ok(())
}

#[tokio::test]
async fn request_without_a_response_head_keeps_its_charge() -> Result {
    let (traffik, _) = traffik();
    let hang = |_: Throttled<Errors>| std::future::pending::<()>();
    let panic = |_: Throttled<Errors>| async { assert!(Router::<()>::new().has_routes(), "this panic is intended") };
    let app = Router::new().route("/hang", get(hang)).route("/panic", get(panic)).layer(traffik.layer());
    let request = |path| Request::get(path).body(Body::empty()).map(|request| request.with_peer("127.0.0.1:50000"));

    // A client that disconnects, and a timeout outside, drop the future.
    let hanging = tokio::spawn(app.clone().oneshot(request("/hang")?));
    until_idle().await;
    hanging.abort();
    assert!(hanging.await.is_err());
    assert_eq!(remaining::<Errors>(&traffik, HERE).await?, 4);

    let panicking = tokio::spawn(app.clone().oneshot(request("/panic")?));
    assert!(panicking.await.is_err_and(|error| error.is_panic()));
    assert_eq!(remaining::<Errors>(&traffik, HERE).await?, 3);
    Ok(())
}

#[tokio::test]
async fn timeout_inside_of_the_layer_is_a_response() -> Result {
    let (traffik, _) = traffik();
    let timeout = |request: axum::extract::Request, next: Next| async move {
        match tokio::time::timeout(Duration::ZERO, next.run(request)).await {
            Ok(response) => response,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        }
    };
    let hang = |_: Throttled<Errors>| std::future::pending::<()>();
    let app = Router::new().route("/", get(hang)).layer(middleware::from_fn(timeout)).layer(traffik.layer());
    assert_eq!(Server::start(app).await.get("/").await.status, 503);
    assert_eq!(remaining::<Errors>(&traffik, HERE).await?, 5);
    Ok(())
}

#[tokio::test]
async fn streaming_response_is_decided_by_its_head() -> Result {
    let (traffik, _) = traffik();
    let handler = |_: Throttled<Login>| async {
        let pieces = stream::iter([Ok("first"), Err(std::io::Error::other("the source ended"))]);
        Body::from_stream(pieces)
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let request = Request::get("/").body(Body::empty())?.with_peer("127.0.0.1:50000");
    let response = app.oneshot(request).await?;
    assert_eq!(remaining::<Login>(&traffik, HERE).await?, 5, "before the body is read");
    assert!(axum::body::to_bytes(response.into_body(), 100).await.is_err());
    assert_eq!(remaining::<Login>(&traffik, HERE).await?, 5);
    Ok(())
}

#[tokio::test]
async fn handshake_of_a_socket_is_a_response() -> Result {
    throttle!(Handshakes, "refund_if:handshakes", "5/min", Settings::new().refund_if(switches));
    fn switches(response: &response::Parts) -> bool {
        response.status == StatusCode::SWITCHING_PROTOCOLS
    }
    let (traffik, _) = traffik();
    let handler =
        |_: Throttled<Handshakes>, upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(|_: WebSocket| async {}) };
    let server = Server::start(Router::new().route("/", any(handler)).layer(traffik.layer())).await;
    let (_socket, response) = tokio_tungstenite::connect_async(format!("ws://{}/", server.address)).await?;
    assert_eq!(response.status(), 101);
    assert_eq!(remaining::<Handshakes>(&traffik, HERE).await?, 5);
    Ok(())
}

#[tokio::test]
async fn settled_charge_is_not_refunded_by_the_response() -> Result {
    let (traffik, _) = traffik();
    let handler = |permit: Throttled<Login>| async move { permit.settle(2).await.map(drop).map_err(|e| e.to_string()) };
    let server = Server::start(Router::new().route("/", get(handler)).layer(traffik.layer())).await;
    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.state()), (200, Some(r#""refund_if:login";r=3;t=60"#)));
    assert_eq!(remaining::<Login>(&traffik, HERE).await?, 3);
    Ok(())
}

#[tokio::test]
async fn backend_that_waits_is_refunded_after_the_response() -> Result {
    let backend = Gated::new(MemoryBackend::with_clock("test", ManualClock::new()));
    let traffik = Traffik::new(backend.clone())?;
    let server = Server::start(Router::new().route("/", post(login)).layer(traffik.layer())).await;
    backend.open(false);
    let reply = server.send(Request::post("/"), "secret").await;
    assert_eq!((reply.status, reply.state()), (204, Some(r#""refund_if:login";r=5"#)));
    assert_eq!(remaining::<Login>(&traffik, HERE).await?, 4);
    backend.open(true);
    until(&backend.gate.ended, 1).await;
    assert_eq!(remaining::<Login>(&traffik, HERE).await?, 5);
    Ok(())
}

#[tokio::test]
async fn condition_may_read_the_limits_of_the_request() -> Result {
    throttle!(Last, "refund_if:last", "2/min", Settings::new().refund_if(was_the_last));
    fn was_the_last(response: &response::Parts) -> bool {
        Limits::met_by(&response.extensions).is_some_and(|limits| limits.tightest().remaining() == 0)
    }
    // A middleware that hands the extensions of the request on to the response.
    async fn hand_on(request: axum::extract::Request, next: Next) -> Response {
        let extensions = request.extensions().clone();
        let mut response = next.run(request).await;
        response.extensions_mut().extend(extensions);
        response
    }
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Last>| async {}))
        .layer(middleware::from_fn(hand_on))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    for state in ["r=1;t=60", "r=1;t=60", "r=1;t=60"] {
        let state = format!(r#""refund_if:last";{state}"#);
        assert_eq!(server.get("/").await.state(), Some(&*state));
    }
    Ok(())
}

#[tokio::test]
async fn charge_that_grew_is_refunded_as_a_whole() -> Result {
    let grow = |permit: Throttled<Login>| async move {
        drop(permit.charge_more(3));
        drop(permit.charge_more(4));
        StatusCode::OK
    };
    let backend = Gated::new(MemoryBackend::with_clock("test", ManualClock::new()));
    for traffik in [traffik().0, Traffik::new(backend)?] {
        let server = Server::start(Router::new().route("/", get(grow)).layer(traffik.layer())).await;
        assert_eq!(server.get("/").await.status, 200);
        tests::until("it is refunded", async || remaining::<Login>(&traffik, HERE).await.is_ok_and(|left| left == 5))
            .await;
    }
    Ok(())
}

#[tokio::test]
async fn refusal_that_meets_a_condition_is_given_back_once() -> Result {
    throttle!(Busy, "refund_if:busy", "5/min", Settings::new().refund_if(|response| response.status == 429));
    throttle!(Once, "refund_if:once", "1/min");
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Busy>, _: Throttled<Once>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    let _ = traffik.limiter::<Busy>(HERE).cost(2).check().await?;
    assert_eq!(server.get("/").await.status, 200);
    for _ in 0..3 {
        assert_eq!(server.get("/").await.status, 429);
        assert_eq!(remaining::<Busy>(&traffik, HERE).await?, 2);
    }
    Ok(())
}

#[tokio::test]
async fn condition_that_cannot_work_is_an_error_that_names_the_fix() -> Result {
    async fn answer(app: Router) -> (u16, String) {
        let reply = Server::start(app).await.get("/").await;
        (reply.status, reply.body)
    }
    let (traffik, clock) = traffik();
    let build = || Traffik::builder(MemoryBackend::with_clock("test", clock.clone()));
    for failed in [build().register::<Held>().build(), build().register::<Queue>().build()] {
        assert!(matches!(&failed, Err(ConfigError::RefundIf { .. })), "{failed:?}");
    }

    let login = Router::new().route("/", get(|_: Throttled<Login>| async {}));
    let (status, text) = answer(login.layer(axum::Extension(traffik.clone()))).await;
    assert!(status == 500 && text.contains("traffik.layer()") && text.contains(Login::UID), "{text}");

    throttle!(OnlyHeld, "refund_if:only_held", "5/30s", Settings::new().strategy(Concurrency));
    let layer = throttle_layer::<OnlyHeld>().refund_if::<OnlyHeld>(refund_if::success);
    let app = Router::new().route("/", get(|| async {})).route_layer(layer).layer(traffik.layer());
    let (status, text) = answer(app).await;
    assert!(status == 500 && text.contains("Concurrency"), "{text}");

    let layer = throttle_layer::<Plain>().refund_if::<Login>(refund_if::success);
    let app = Router::new().route("/", get(|| async {})).route_layer(layer).layer(traffik.layer());
    let (status, text) = answer(app).await;
    assert!(status == 500 && text.contains(Login::UID), "{text}");

    let app = Router::new().route("/", any(|_: Messages<Login>| async {})).layer(traffik.layer());
    let (status, text) = answer(app).await;
    assert!(status == 500 && text.contains("message"), "{text}");
    assert_eq!(remaining::<Login>(&traffik, HERE).await?, 5);
    Ok(())
}
