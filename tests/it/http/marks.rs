//! Layers that mark requests over a limit, and refusals that handlers make from limits.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test without an app or a decision fails")]

use axum::{
    Extension, Router,
    extract::Request,
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use traffik::{
    CheckError, Fields, Limited, Limits, MemoryBackend, Settings, Throttle, ThrottleRejection, Throttled, Traffik,
    refund_if, strategy::Concurrency, throttle_layer,
};

use super::{
    app::{HERE, builder, throttle, traffik},
    backends::Unsteady,
    server::{Reply, Server},
};

throttle!(Wide, "marks:wide", "9/min");
throttle!(Narrow, "marks:narrow", "1/min");
throttle!(Hourly, "marks:hourly", "1/hour");
throttle!(Slots, "marks:slots", "1/min", Settings::new().strategy(Concurrency));
throttle!(
    Polite,
    "marks:polite",
    "1/min",
    Settings::new().responder(|_: &Limited| (StatusCode::IM_A_TEAPOT, "please"))
);
throttle!(Account, "marks:account", "1/min");

/// Says whether the request would have been refused.
async fn would_refuse(limits: Option<Limits>) -> String {
    limits.is_some_and(|limits| !limits.is_admitted()).to_string()
}

async fn refuse(limits: Option<Limits>) -> Result<&'static str, ThrottleRejection> {
    limits.map(Limits::or_refuse).transpose()?;
    Ok("done")
}

async fn remaining<T: Throttle>(traffik: &Traffik) -> u64 {
    let limits = traffik.limiter::<T>(HERE).peek().await.unwrap();
    limits.tightest().remaining().units().unwrap()
}

/// The whole reply except for its date.
fn all_of(mut reply: Reply) -> (u16, Vec<(String, String)>, String) {
    reply.headers.remove("date");
    let mut headers: Vec<_> =
        reply.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    headers.sort();
    (reply.status, headers, reply.body)
}

#[tokio::test]
async fn marked_request_reaches_the_handler_and_is_not_charged() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(would_refuse))
        .route_layer(throttle_layer::<(Wide, Narrow)>().mark())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    for expected in ["false", "true", "true"] {
        let reply = server.get("/").await;
        assert_eq!((reply.status, &*reply.body, reply.retry_after()), (200, expected, None));
        assert_eq!(reply.state(), Some(r#""marks:wide";r=8;t=60, "marks:narrow";r=0;t=60"#));
    }
    assert_eq!(remaining::<Wide>(&traffik).await, 8, "only the admitted request is charged");
}

#[tokio::test]
async fn handler_refuses_a_marked_request_with_the_same_response() {
    let (builder, _) = builder();
    let traffik = builder.fields(Fields::both()).build().unwrap();
    let app = Router::new()
        .route("/marked", get(refuse).route_layer(throttle_layer::<(Wide, Narrow, Hourly)>().mark()))
        .route("/plain", get(|| async { "done" }).route_layer(throttle_layer::<(Wide, Narrow, Hourly)>()))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/marked").await.body, "done");
    let (marked, plain) = (server.get("/marked").await, server.get("/plain").await);
    assert_eq!((plain.status, plain.retry_after()), (429, Some("3600")));
    assert_eq!(all_of(marked), all_of(plain));
}

#[tokio::test]
async fn refusal_of_a_marked_request_refunds_other_charges() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/refuse", get(refuse))
        .route("/pass", get(would_refuse))
        .layer(throttle_layer::<Narrow>().mark())
        .layer(throttle_layer::<Wide>())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/refuse").await.status, 200);
    let refused = server.get("/refuse").await;
    assert_eq!((refused.status, remaining::<Wide>(&traffik).await), (429, 8));
    assert_eq!(refused.state(), Some(r#""marks:wide";r=8;t=60, "marks:narrow";r=0;t=60"#));
    let passed = server.get("/pass").await;
    assert_eq!((passed.status, &*passed.body, remaining::<Wide>(&traffik).await), (200, "true", 7));
}

#[tokio::test]
async fn refund_condition_of_a_marking_layer_concerns_admitted_requests() {
    let (traffik, _) = traffik();
    let failing = |limits: Option<Limits>| async move {
        if limits.is_some_and(|limits| limits.is_admitted()) { StatusCode::NOT_FOUND } else { StatusCode::OK }
    };
    let marking = throttle_layer::<Narrow>().mark().refund_if::<Narrow>(refund_if::success);
    let app = Router::new().route("/", get(failing).route_layer(marking)).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!((server.get("/").await.status, remaining::<Narrow>(&traffik).await), (404, 0));
    for _ in 0..2 {
        assert_eq!((server.get("/").await.status, remaining::<Narrow>(&traffik).await), (200, 0));
    }
}

#[tokio::test]
async fn same_throttle_further_inside_decides_again() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/enforced", get(|_: Throttled<Narrow>| async {}))
        .route("/marked", get(would_refuse).route_layer(throttle_layer::<Narrow>().mark()))
        .layer(throttle_layer::<Narrow>().mark())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let admitted = server.get("/enforced").await;
    assert_eq!((admitted.status, admitted.state()), (200, Some(r#""marks:narrow";r=0;t=60"#)), "charged once");
    assert_eq!(server.get("/enforced").await.status, 429);
    let marked = server.get("/marked").await;
    assert_eq!((marked.status, &*marked.body, marked.state()), (200, "true", Some(r#""marks:narrow";r=0;t=60"#)));
}

#[tokio::test]
async fn marked_request_holds_no_permit() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(would_refuse))
        .route_layer(throttle_layer::<Slots>().mark())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let held = traffik.limiter::<Slots>(HERE).check().await.unwrap();
    assert_eq!(server.get("/").await.body, "true");
    drop(held);
    for _ in 0..2 {
        assert_eq!(server.get("/").await.body, "false");
    }
}

#[tokio::test]
async fn request_that_cannot_be_decided_is_not_marked() {
    let backend = Unsteady::new(MemoryBackend::new("test"));
    backend.fails();
    let traffik = Traffik::new(backend).unwrap();
    let app = Router::new()
        .route("/", get(would_refuse))
        .route_layer(throttle_layer::<Narrow>().mark())
        .layer(traffik.layer());
    let server = Server::start(app.clone()).await;
    assert_eq!(server.get("/").await.status, 503);
    assert_eq!(Server::start_without_peers(app).await.get("/").await.status, 500);
}

#[tokio::test]
async fn middleware_refuses_marked_requests() {
    async fn enforce(request: Request, next: Next) -> Result<Response, ThrottleRejection> {
        if !request.headers().contains_key("x-trusted") {
            Limits::met_by(request.extensions()).map(Limits::or_refuse).transpose()?;
        }
        Ok(next.run(request).await)
    }
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(would_refuse))
        .layer(from_fn(enforce))
        .layer(throttle_layer::<Narrow>().mark())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!([server.get("/").await.status, server.get("/").await.status], [200, 429]);
    assert_eq!(server.send(Request::get("/").header("x-trusted", "1"), "").await.body, "true");
}

/// Refuses by a limit that the request itself did not meet.
async fn by_account(_: Throttled<Wide>, traffik: Traffik) -> Result<&'static str, ThrottleRejection> {
    match traffik.limiter::<Account>("alice").check().await {
        Ok(_) => Ok("done"),
        Err(CheckError::Refused(refusal)) => Err(refusal.into()),
        Err(error) => panic!("{error}"),
    }
}

async fn by_peek(_: Throttled<Wide>, traffik: Traffik) -> Result<&'static str, ThrottleRejection> {
    traffik.limiter::<Account>("alice").peek().await.unwrap().or_refuse()?;
    Ok("done")
}

#[tokio::test]
async fn refusal_without_the_request_refunds_its_charges_and_shows_all_limits() {
    let (builder, _) = builder();
    let traffik = builder.fields(Fields::both()).build().unwrap();
    let app = Router::new().route("/", get(by_account)).route("/peek", get(by_peek)).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!([server.get("/peek").await.status, server.get("/").await.status], [200, 200]);
    for path in ["/", "/peek"] {
        let reply = server.get(path).await;
        assert_eq!(
            (reply.status, reply.retry_after(), reply.header("cache-control")),
            (429, Some("60"), Some("no-store"))
        );
        assert_eq!(
            reply.problem("detail"),
            r#""marks:account" allows 1 request per minute; try again in 60s"#.replace("60s", "1m")
        );
        assert_eq!(reply.problem("violated-policies"), serde_json::json!(["marks:account"]));
        assert_eq!(reply.policy(), Some(r#""marks:wide";q=9;w=60, "marks:account";q=1;w=60"#));
        assert_eq!(reply.state(), Some(r#""marks:wide";r=7;t=60, "marks:account";r=0;t=60"#));
        assert_eq!((reply.header("x-ratelimit-limit"), reply.header("x-ratelimit-remaining")), (Some("1"), Some("0")));
        assert_eq!(remaining::<Wide>(&traffik).await, 7, "the charge of the refused request is given back");
    }
}

#[tokio::test]
async fn refusal_by_a_limit_that_the_request_was_charged_for_shows_the_refund() {
    async fn again(_: Throttled<Narrow>, traffik: Traffik) -> Result<(), ThrottleRejection> {
        traffik.limiter::<Narrow>(HERE).peek().await.unwrap().or_refuse()?;
        Ok(())
    }
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(again)).layer(traffik.layer());
    let server = Server::start(app).await;
    for _ in 0..2 {
        let reply = server.get("/").await;
        assert_eq!((reply.status, reply.retry_after()), (429, Some("60")));
        assert_eq!(reply.state(), Some(r#""marks:narrow";r=1"#));
    }
}

#[tokio::test]
async fn refusal_without_a_layer_shows_its_own_limits() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(by_account)).layer(Extension(traffik));
    let server = Server::start(app).await;
    server.get("/").await;
    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.retry_after()), (429, Some("60")));
    assert_eq!(reply.state(), Some(r#""marks:account";r=0;t=60"#));
}

#[tokio::test]
async fn refusal_without_the_request_uses_the_responders() {
    async fn by<T: Throttle>(traffik: Traffik) -> Response {
        match traffik.limiter::<T>("bob").check().await {
            Ok(_) => "done".into_response(),
            Err(CheckError::Refused(refusal)) => Limited::from(refusal).into_response(),
            Err(error) => panic!("{error}"),
        }
    }
    let (builder, _) = builder();
    let own = [("ratelimit", r#""mine";r=0"#), ("ratelimit-policy", r#""mine";q=1"#)];
    let traffik =
        builder.responder(move |_: &Limited| (StatusCode::TOO_MANY_REQUESTS, own, "the app's")).build().unwrap();
    let app = Router::new().route("/app", get(by::<Narrow>)).route("/own", get(by::<Polite>)).layer(traffik.layer());
    let server = Server::start(app).await;

    for (path, status, body, state) in
        [("/app", 429, "the app's", r#""mine";r=0"#), ("/own", 418, "please", r#""marks:polite";r=0;t=60"#)]
    {
        assert_eq!(server.get(path).await.body, "done");
        let reply = server.get(path).await;
        assert_eq!((reply.status, &*reply.body, reply.state()), (status, body, Some(state)));
    }
}

#[tokio::test]
async fn admitted_limits_are_returned() {
    let (traffik, _) = traffik();
    let limits = traffik.limiter::<(Wide, Narrow)>("alice").peek().await.unwrap().or_refuse().unwrap();
    assert_eq!((limits.tightest().uid(), limits.retry_after(), limits.exceeded().count()), ("marks:narrow", None, 0));
    let refused = traffik.limiter::<(Wide, Narrow)>("alice").cost(2).peek().await.unwrap();
    assert_eq!((refused.retry_after(), refused.exceeded().count()), (None, 1), "a cost of 2 never fits");
    let Err(ThrottleRejection::Limited(limited)) = refused.or_refuse() else { panic!("not refused") };
    assert_eq!(limited.limits().iter().count(), 2);
}
