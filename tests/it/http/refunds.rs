//! Refunds of earlier charges when a request is rejected later.

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::Request,
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::Value;
use tower::ServiceExt;
use traffik::{
    MemoryBackend, Settings, Throttle, ThrottleRejection, Throttled, Traffik,
    test::{ManualClock, RequestExt},
    throttle_layer,
};

use super::{
    app::{HERE, throttle, traffik},
    backends::Unsteady,
    server::Server,
};

throttle!(Wide, "wide", "9/min");
throttle!(Middle, "middle", "9/min");
throttle!(Narrow, "narrow", "1/min");
throttle!(Local, "local", "9/min", Settings::new().backend("local"));

async fn remaining<T: Throttle>(traffik: &Traffik) -> u64 {
    traffik
        .limiter::<T>(HERE)
        .peek()
        .await
        .map_or(u64::MAX, |limits| limits.tightest().remaining().units().unwrap_or(u64::MAX))
}

#[tokio::test]
async fn later_refusal_refunds_earlier_charges() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Wide>, _: Throttled<Middle>, _: Throttled<Narrow>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let admitted = server.get("/").await;
    assert_eq!(admitted.state(), Some(r#""wide";r=8;t=60, "middle";r=8;t=60, "narrow";r=0;t=60"#));
    for _ in 0..3 {
        let refused = server.get("/").await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.state(), admitted.state());
        assert_eq!((remaining::<Wide>(&traffik).await, remaining::<Middle>(&traffik).await), (8, 8));
    }
}

#[tokio::test]
async fn disconnected_client_is_refunded_by_every_backend() {
    let backend = Unsteady::new(MemoryBackend::with_clock("test", ManualClock::new()));
    let local = MemoryBackend::with_clock("local", ManualClock::new());
    let traffik = Traffik::builder(backend.clone()).backend("local", local).build().unwrap();
    let app = Router::new()
        .route("/", get(|_: Throttled<Wide>, _: Throttled<Local>, _: Throttled<Narrow>| async {}))
        .layer(traffik.layer());
    let send = || {
        let request = Request::get("/").body(Body::empty()).unwrap().with_peer("127.0.0.1:50000");
        app.clone().oneshot(request)
    };
    assert_eq!(send().await.unwrap().status(), 200);

    backend.refunds_hang();
    let refused = tokio::spawn(send());
    // Two decisions of each request, and the refund that hangs.
    backend.asked(5).await;
    refused.abort();
    assert!(refused.await.is_err());
    assert_eq!(remaining::<Local>(&traffik).await, 8);
}

#[tokio::test]
async fn refusal_by_the_first_argument_charges_no_later_one() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Narrow>, _: Throttled<Wide>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.status, 200);
    let refused = server.get("/").await;
    assert_eq!(
        (refused.status, refused.state()),
        (429, Some(r#""narrow";r=0;t=60"#)),
        "the second throttle was not checked"
    );
    assert_eq!(remaining::<Wide>(&traffik).await, 8);
}

#[tokio::test]
async fn later_refusal_refunds_charges_of_layers() {
    let (traffik, _) = traffik();
    let inner = Router::new().route("/", get(|_: Throttled<Narrow>| async {})).route_layer(throttle_layer::<Middle>());
    let app = Router::new().nest("/inner", inner).layer(throttle_layer::<Wide>()).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/inner").await.status, 200);
    assert_eq!(server.get("/inner").await.status, 429);
    assert_eq!((remaining::<Wide>(&traffik).await, remaining::<Middle>(&traffik).await), (8, 8));
}

#[tokio::test]
async fn repeated_throttle_in_a_tuple_is_refunded_exactly() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<(Wide, Wide)>, _: Throttled<Narrow>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.status, 200);
    let charged = remaining::<Wide>(&traffik).await;
    for _ in 0..5 {
        let refused = server.get("/").await;
        assert_eq!(
            (refused.status, refused.state()),
            (429, Some(&*format!(r#""wide";r={charged};t=60, "narrow";r=0;t=60"#)))
        );
        assert_eq!(remaining::<Wide>(&traffik).await, charged);
    }
}

#[tokio::test]
async fn extension_without_a_layer_sets_the_429_fields_only() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Wide>, _: Throttled<Narrow>| async {}))
        .layer(Extension(traffik.clone()));
    let server = Server::start(app).await;

    let admitted = server.get("/").await;
    assert_eq!((admitted.status, admitted.policy(), admitted.state()), (200, None, None));
    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.retry_after()), (429, Some("60")));
    assert_eq!(refused.policy(), Some(r#""wide";q=9;w=60, "narrow";q=1;w=60"#));
    assert_eq!(refused.state(), Some(r#""wide";r=7;t=60, "narrow";r=0;t=60"#));
    assert_eq!(remaining::<Wide>(&traffik).await, 7);
}

#[tokio::test]
async fn handler_that_ignores_a_refusal_keeps_the_charge() {
    let (traffik, _) = traffik();
    let handler = |_: Throttled<Wide>, permit: Result<Throttled<Narrow>, ThrottleRejection>| async move {
        match permit {
            Ok(_) => Ok("everything"),
            Err(ThrottleRejection::Limited(limited)) if limited.retry_after().is_some() => Ok("what is in the cache"),
            Err(other) => Err(other),
        }
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.body, "everything");
    let less = server.get("/").await;
    assert_eq!((less.status, less.body.as_str(), less.retry_after()), (200, "what is in the cache", None));
    assert_eq!(less.state(), Some(r#""wide";r=7;t=60, "narrow";r=0;t=60"#));
    assert_eq!(remaining::<Wide>(&traffik).await, 7);
}

#[tokio::test]
async fn handler_that_returns_a_caught_refusal_refunds() {
    let (traffik, _) = traffik();
    let handler = |_: Throttled<Wide>, permit: Result<Throttled<Narrow>, ThrottleRejection>| async move {
        permit.map(|_| "everything")
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.status, 200);
    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.retry_after()), (429, Some("60")));
    assert_eq!(refused.state(), Some(r#""wide";r=8;t=60, "narrow";r=0;t=60"#));
    assert_eq!(remaining::<Wide>(&traffik).await, 8);
}

#[tokio::test]
async fn middleware_that_replaces_a_refusal_must_copy_its_extensions_for_a_refund() {
    async fn replaced(response: Response) -> Response {
        let mut page = "later".into_response();
        *page.status_mut() = response.status();
        page
    }
    async fn copied(response: Response) -> Response {
        let extensions = response.extensions().clone();
        let mut page = replaced(response).await;
        *page.extensions_mut() = extensions;
        page
    }
    let (traffik, _) = traffik();
    let routes = || Router::new().route("/", get(|_: Throttled<Wide>, _: Throttled<Narrow>| async {}));
    let replacing = Server::start(routes().layer(map_response(replaced)).layer(traffik.layer())).await;
    let copying = Server::start(routes().layer(map_response(copied)).layer(traffik.layer())).await;
    for (server, status, remains) in [(&copying, 200, 8), (&copying, 429, 8), (&replacing, 429, 7)] {
        let reply = server.get("/").await;
        assert_eq!((reply.status, reply.body.as_str()), (status, "later"));
        assert_eq!(remaining::<Wide>(&traffik).await, remains);
    }
}

#[tokio::test]
async fn foreign_rejection_refunds_nothing() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", post(|_: Throttled<Wide>, _: Json<Vec<u8>>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;

    let json = || Request::post("/").header("content-type", "application/json");
    for (body, status, remains) in [("[1]", 200, 8), ("[", 400, 7), ("{}", 422, 6)] {
        let reply = server.send(json(), body).await;
        assert_eq!((reply.status, reply.state()), (status, Some(&*format!(r#""wide";r={remains};t=60"#))));
        assert_eq!(remaining::<Wide>(&traffik).await, remains);
    }
    assert_eq!(server.send(Request::post("/"), "[1]").await.status, 415);
    assert_eq!(remaining::<Wide>(&traffik).await, 5);
}

#[tokio::test]
async fn rejection_before_the_throttle_charges_nothing() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: axum::extract::Query<Vec<(String, u8)>>, _: Throttled<Wide>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let reply = server.get("/?a=many").await;
    assert_eq!((reply.status, reply.state()), (400, None));
    assert_eq!(remaining::<Wide>(&traffik).await, 9);
}

#[tokio::test]
async fn handlers_own_429_keeps_the_charge() {
    let (traffik, _) = traffik();
    let own = axum::http::StatusCode::TOO_MANY_REQUESTS;
    let app = Router::new().route("/", get(move |_: Throttled<Wide>| async move { (own, Json(Value::Null)) }));
    let server = Server::start(app.layer(traffik.layer())).await;

    assert_eq!(server.get("/").await.status, 429);
    assert_eq!(remaining::<Wide>(&traffik).await, 8);
}
