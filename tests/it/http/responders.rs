//! Refusals that an app's responder writes.

use axum::{
    Router,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, RETRY_AFTER},
    },
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use traffik::{Limited, Responder, Settings, Throttled, backend::MemoryBackend, web::Unavailable};

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
