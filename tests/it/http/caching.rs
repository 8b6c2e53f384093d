//! Cacheable responses contain nothing about one client, and no cache stores a refusal.

use axum::{
    Extension, Router,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use traffik::{Fields, Limited, Responder, Settings, Throttled, throttle_layer};

use super::{
    app::{builder, throttle, traffik},
    server::{Reply, Server},
};

throttle!(Pages, "pages", "1000/min");
throttle!(Once, "once", "1/min");
throttle!(Silent, "silent", "1/min", Settings::new().responder(Answers("no-transform")));
throttle!(Public, "public", "1/min", Settings::new().responder(Answers("public, max-age=3600")));
throttle!(Private, "private", "1/min", Settings::new().responder(Answers("private, max-age=5")));

fn limit_fields(reply: &Reply) -> usize {
    reply.headers.keys().filter(|name| name.as_str().contains("ratelimit")).count()
}

/// Answers with the headers that the request lists under `x-answer`.
async fn answers(_: Throttled<Pages>, request: Request) -> Response {
    let mut response = "a page".into_response();
    for line in request.headers().get_all("x-answer") {
        let (name, value) = line.to_str().unwrap_or_default().split_once(": ").unwrap_or_default();
        if name == "status" {
            *response.status_mut() = value.parse().unwrap_or_default();
        } else if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

#[tokio::test]
async fn response_for_shared_caches_has_no_fields() {
    let (builder, _) = builder();
    let traffik = builder.fields(Fields::both()).build().unwrap();
    let server = Server::start(Router::new().route("/", get(answers)).layer(traffik.layer())).await;

    let cases: [(&[&str], usize); 12] = [
        (&[], 5),
        (&["cache-control: public"], 0),
        (&["cache-control: max-age=60"], 0),
        (&["cache-control: s-maxage=60"], 0),
        (&["cache-control: private, max-age=60"], 5),
        (&["cache-control: max-age=60", "cache-control: Private"], 5),
        (&["cache-control: no-cache"], 5),
        (&["cache-control: no-store"], 5),
        (&["expires: Thu, 01 Dec 2044 16:00:00 GMT"], 0),
        (&["cache-control: private", "cdn-cache-control: max-age=60"], 0),
        (&["status: 404", "cache-control: max-age=60"], 0),
        (&["status: 304"], 0),
    ];
    for (answer, fields) in cases {
        let request = answer.iter().fold(Request::get("/"), |request, line| request.header("x-answer", *line));
        let reply = server.send(request, "").await;
        assert_eq!(limit_fields(&reply), fields, "{answer:?}");
    }
    let left = traffik.limiter::<Pages>(super::app::HERE).peek().await.unwrap().tightest().remaining();
    assert_eq!(left, 1000 - 12, "they are charged all the same");
}

#[tokio::test]
async fn own_fields_of_a_response_for_shared_caches_are_kept() {
    let (traffik, _) = traffik();
    let own =
        [("cache-control", "public"), ("ratelimit-policy", r#""upstream";q=7"#), ("ratelimit", r#""upstream";r=6"#)];
    let app = Router::new().route("/", get(move |_: Throttled<Pages>| async move { own })).layer(traffik.layer());

    let reply = Server::start(app).await.get("/").await;
    assert_eq!((reply.state(), limit_fields(&reply)), (Some(r#""upstream";r=6"#), 2));
}

/// A responder that sets this `Cache-Control` value.
struct Answers(&'static str);

impl Responder for Answers {
    fn limited(&self, _: &Limited) -> Response {
        let caching = [("cache-control", self.0), ("cdn-cache-control", "max-age=60")];
        (StatusCode::TOO_MANY_REQUESTS, caching, "slow down").into_response()
    }
}

#[tokio::test]
async fn refusal_by_a_responder_is_not_cacheable() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/silent", get(|_: Throttled<Silent>| async {}))
        .route("/public", get(|_: Throttled<Public>| async {}))
        .route("/private", get(|_: Throttled<Private>| async {}));
    let layered = Server::start(app.clone().layer(traffik.layer())).await;
    let plain = Server::start(app.layer(Extension(traffik))).await;

    for (path, said) in [("/silent", "no-store"), ("/public", "no-store"), ("/private", "private, max-age=5")] {
        layered.get(path).await;
        for server in [&layered, &plain] {
            let reply = server.get(path).await;
            assert_eq!((reply.status, reply.header("cache-control")), (429, Some(said)), "{path}");
            assert_eq!((reply.header("cdn-cache-control"), limit_fields(&reply)), (None, 2));
        }
    }
}

/// Marks every response as cacheable, as apps do for static files.
async fn all_of_it_is_public(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert("cache-control", HeaderValue::from_static("public, max-age=3600"));
    response
}

#[tokio::test]
async fn refusal_under_a_caching_middleware_is_not_cacheable() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|| async { "a picture" }))
        .layer(throttle_layer::<Once>())
        .layer(from_fn(all_of_it_is_public))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let first = server.get("/").await;
    assert_eq!((first.status, first.header("cache-control")), (200, Some("public, max-age=3600")));
    assert_eq!(limit_fields(&first), 0);
    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.header("cache-control")), (429, Some("no-store")));
    assert_eq!((refused.retry_after(), limit_fields(&refused)), (Some("60"), 2));
}
