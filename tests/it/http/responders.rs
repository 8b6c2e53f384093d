//! Refusals that an app's responder writes.

use axum::{
    Router,
    http::{
        Request, StatusCode,
        header::{CACHE_CONTROL, RETRY_AFTER},
    },
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use traffik::{
    Limited, Limiter, Responder, Settings, ThrottleRejection, Throttled,
    backend::MemoryBackend,
    test::ManualClock,
    web::{DefaultResponder, ResponseFormat, Unavailable},
};

use super::{
    app::{builder, throttle, traffik},
    backends::Unsteady,
    server::Server,
};

throttle!(Plain, "plain", "1/min");
throttle!(
    Polite,
    "polite",
    "1/min",
    Settings::new().responder(|_: &Limited| (StatusCode::TOO_MANY_REQUESTS, "please wait"))
);
throttle!(Patient, "patient", "1/hour", Settings::new().responder(|_: &Limited| Redirect::to("/pricing")));

#[tokio::test]
async fn responder_of_the_app_answers_and_fields_are_added() {
    let (builder, _) = builder();
    let traffik = builder
        .responder(|limited: &Limited| {
            let uids: Vec<_> = limited.exceeded().map(traffik::Limit::uid).collect();
            let wait = limited.retry_after().unwrap().as_secs();
            (StatusCode::SERVICE_UNAVAILABLE, format!("{uids:?}: {wait} s"))
        })
        .build()
        .unwrap();
    let app = Router::new().route("/", get(|_: Throttled<Plain>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    server.get("/").await;

    let reply = server.get("/").await;
    assert_eq!((reply.status, reply.body.as_str()), (503, r#"["plain"]: 60 s"#));
    assert_eq!((reply.retry_after(), reply.header("cache-control")), (Some("60"), Some("no-store")));
    assert_eq!((reply.policy(), reply.state()), (Some(r#""plain";q=1;w=60"#), Some(r#""plain";r=0;t=60"#)));
}

#[tokio::test]
async fn fields_set_by_a_responder_are_kept() {
    let (builder, _) = builder();
    let own = [
        (RETRY_AFTER.as_str(), "600"),
        (CACHE_CONTROL.as_str(), "private"),
        ("ratelimit-policy", r#""mine";q=1"#),
        ("ratelimit", r#""mine";r=0"#),
    ];
    let traffik = builder.responder(move |_: &Limited| (StatusCode::IM_A_TEAPOT, own, "short")).build().unwrap();
    for app in [
        Router::new().route("/", get(|_: Throttled<Plain>| async {})).layer(traffik.layer()),
        Router::new().route("/", get(|_: Throttled<Plain>| async {})).layer(axum::Extension(traffik.clone())),
    ] {
        let server = Server::start(app).await;
        server.get("/").await;
        let reply = server.get("/").await;
        assert_eq!((reply.status, reply.body.as_str()), (418, "short"));
        for (name, value) in own {
            assert_eq!(reply.header(name), Some(value));
        }
    }
}

#[tokio::test]
async fn responder_of_a_throttle_precedes_the_one_of_the_app() {
    let (builder, _) = builder();
    let traffik = builder.responder(|_: &Limited| (StatusCode::TOO_MANY_REQUESTS, "the app's")).build().unwrap();
    let app = Router::new()
        .route("/plain", get(|_: Throttled<Plain>| async {}))
        .route("/polite", get(|_: Throttled<Polite>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    for (path, body) in [("/plain", "the app's"), ("/polite", "please wait")] {
        assert_eq!(server.get(path).await.status, 200);
        let reply = server.get(path).await;
        assert_eq!((reply.status, reply.body.as_str(), reply.retry_after()), (429, body, Some("60")));
    }
}

#[tokio::test]
async fn tuple_uses_the_responder_of_the_longest_refusal() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/both", get(|_: Throttled<(Polite, Patient)>| async {}))
        .route("/polite", get(|_: Throttled<(Plain, Polite)>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.get("/both").await.status, 200);

    let polite = server.get("/polite").await;
    assert_eq!((polite.status, polite.body.as_str()), (429, "please wait"));
    let both = server.get("/both").await;
    assert_eq!((both.status, both.header("location"), both.retry_after()), (303, Some("/pricing"), Some("3600")));
}

struct OfBothKinds;

impl Responder for OfBothKinds {
    fn limited(&self, _: &Limited) -> Response {
        (StatusCode::TOO_MANY_REQUESTS, "later").into_response()
    }

    fn unavailable(&self, rejection: &Unavailable) -> Response {
        (StatusCode::BAD_GATEWAY, format!("{:?}: {}", rejection.uids().collect::<Vec<_>>(), rejection.backend_error()))
            .into_response()
    }
}

#[tokio::test]
async fn responder_answers_for_an_unavailable_backend() {
    let backend = Unsteady::new(MemoryBackend::new("test"));
    let traffik = traffik::Traffik::builder(backend.clone()).responder(OfBothKinds).build().unwrap();
    let app = Router::new().route("/", get(|_: Throttled<Plain>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    backend.fails();

    let reply = server.get("/").await;
    assert_eq!(reply.status, 502);
    assert_eq!(reply.body, r#"["plain"]: the backend is unavailable: 10.0.0.7:6379 refused the connection"#);
    assert_eq!((reply.retry_after(), reply.header("cache-control")), (Some("1"), Some("no-store")));
}

/// Shows what a responder finds of its request.
fn shown(request: Option<&Request<()>>) -> String {
    request.map_or_else(String::new, |request| {
        format!("{} {} {:?}", request.method(), request.uri(), request.headers().get("x-name"))
    })
}

struct Shows;

impl Responder for Shows {
    fn limited(&self, rejection: &Limited) -> Response {
        (rejection.status(), shown(rejection.request())).into_response()
    }

    fn unavailable(&self, rejection: &Unavailable) -> Response {
        (rejection.status(), shown(rejection.request())).into_response()
    }
}

throttle!(Shown, "shown", "1/min", Settings::new().responder(Shows));

async fn checked(plain: Limiter<Shown>) -> Result<(), ThrottleRejection> {
    plain.check().await.map(drop)
}

#[tokio::test]
async fn responder_sees_method_uri_and_headers() {
    let backend = Unsteady::new(MemoryBackend::with_clock("test", ManualClock::new()));
    let of_app = traffik::Traffik::builder(backend.clone()).responder(Shows).build().unwrap();
    let of_throttle = traffik::Traffik::new(backend.clone()).unwrap();
    for (app, traffik) in [
        (Router::new().route("/a", get(|_: Throttled<Plain>| async {})), of_app),
        (Router::new().route("/a", get(|_: Throttled<(Shown, Plain)>| async {})), of_throttle.clone()),
        (Router::new().route("/a", get(|| async {})).layer(traffik::throttle_layer::<Shown>()), of_throttle.clone()),
        (Router::new().route("/a", get(checked)), of_throttle),
    ] {
        traffik.clear().await.unwrap();
        let server = Server::start(app.layer(traffik.layer())).await;
        server.get("/a").await;
        for status in [429, 503] {
            let reply = server.send(Request::get("/a?b=c").header("x-name", "alice"), "").await;
            assert_eq!((reply.status, reply.body.as_str()), (status, r#"GET /a?b=c Some("alice")"#));
            backend.fails();
        }
        backend.answers();
    }
}

#[tokio::test]
async fn request_is_kept_only_for_a_responder() {
    let handler = |permit: Result<Throttled<Plain>, ThrottleRejection>| async move {
        match permit {
            Err(ThrottleRejection::Limited(limited)) => format!("{:?}", limited.request().map(Request::uri)),
            other => format!("{other:?}"),
        }
    };
    for (has_responder, kept) in [(false, "None"), (true, "Some(/)")] {
        let (mut builder, _) = builder();
        if has_responder {
            builder = builder.responder(Shows);
        }
        let app = Router::new().route("/", get(handler)).layer(builder.build().unwrap().layer());
        let server = Server::start(app).await;
        server.get("/").await;
        assert_eq!(server.get("/").await.body, kept);
    }
}

#[tokio::test]
async fn responder_leaves_other_formats_to_the_default() {
    let (builder, _) = builder();
    let page = |limited: &Limited| match limited.format() {
        ResponseFormat::Html => (limited.status(), "a page").into_response(),
        _ => DefaultResponder.limited(limited),
    };
    let traffik = builder.responder(page).build().unwrap();
    let app = Router::new().route("/", get(|_: Throttled<Plain>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    server.get("/").await;

    assert_eq!(server.send(Request::get("/").header("accept", "text/html"), "").await.body, "a page");
    assert_eq!(server.get("/").await.problem("status"), 429);
    let grpc = server.send(Request::get("/").header("content-type", "application/grpc"), "").await;
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, Some("8")));
}
