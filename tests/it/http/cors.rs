//! What a page from another origin sees, with a `CorsLayer` outside or inside the limits.

use axum::{
    Router,
    http::{HeaderValue, Method, Request, header::CONTENT_TYPE},
    routing::{get, post},
};
use tower_http::cors::{CorsLayer, ExposeHeaders};
use traffik::{
    Fields, Throttled, Traffik, throttle_layer,
    web::{EXPOSED_HEADERS, X_RATELIMIT_HEADERS},
};

use super::{
    app::{HERE, builder, throttle, traffik},
    server::{Reply, Server},
};

throttle!(Search, "search", "1/min");
throttle!(Api, "api", "1/min");

const PAGE: &str = "https://app.example";

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(HeaderValue::from_static(PAGE))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([CONTENT_TYPE])
        .expose_headers(EXPOSED_HEADERS)
}

/// What a page can read of a response: nothing, not even its status, if its origin is not allowed.
#[derive(Debug, PartialEq, Eq)]
struct Seen<'a> {
    status: u16,
    fields: Vec<(&'a str, &'a str)>,
}

fn seen(reply: &Reply) -> Option<Seen<'_>> {
    (reply.header("access-control-allow-origin")? == PAGE).then(|| Seen {
        status: reply.status,
        fields: reply
            .header("access-control-expose-headers")
            .unwrap_or_default()
            .split(',')
            .filter_map(|name| Some((name, reply.header(name)?)))
            .collect(),
    })
}

async fn ask(server: &Server, path: &str) -> Reply {
    server.send(Request::get(path).header("origin", PAGE), "").await
}

/// Returns the preflight that a browser sends.
async fn preflight(server: &Server, path: &str) -> Reply {
    let request = Request::options(path).header("origin", PAGE).header("access-control-request-method", "POST");
    server.send(request.header("access-control-request-headers", "content-type"), "").await
}

fn routes() -> Router {
    Router::new()
        .route("/handler", get(|_: Throttled<Search>| async { "found" }).post(|_: Throttled<Search>| async {}))
        .route("/layer", post(|| async {}).get(|| async { "found" }).layer(throttle_layer::<Search>()))
}

async fn left(traffik: &Traffik) -> Option<u64> {
    Some(traffik.limiter::<Search>(HERE).peek().await.ok()?.tightest().remaining().units().unwrap_or(u64::MAX))
}

#[tokio::test]
async fn page_behind_a_cors_layer_sees_the_429_and_its_fields() {
    for path in ["/handler", "/layer"] {
        let (traffik, _) = traffik();
        let server = Server::start(routes().layer(traffik.layer()).layer(cors())).await;

        for _ in 0..5 {
            let reply = preflight(&server, path).await;
            assert_eq!((reply.status, reply.header("access-control-allow-methods")), (200, Some("GET,POST")));
            assert_eq!((reply.state(), left(&traffik).await), (None, Some(1)), "a preflight is not charged");
        }
        let policy = ("ratelimit-policy", r#""search";q=1;w=60"#);
        let state = ("ratelimit", r#""search";r=0;t=60"#);
        let found = ask(&server, path).await;
        assert_eq!(seen(&found), Some(Seen { status: 200, fields: vec![policy, state] }));
        let refused = ask(&server, path).await;
        let fields = vec![policy, state, ("retry-after", "60")];
        assert_eq!(seen(&refused), Some(Seen { status: 429, fields }), "{path}");
        assert_eq!(preflight(&server, path).await.status, 200, "a preflight over the limit is answered");
    }
}

#[tokio::test]
async fn page_behind_a_cors_layer_sees_the_503() {
    let (traffik, _) = traffik();
    let server = Server::start(routes().layer(traffik.layer()).layer(cors())).await;
    traffik.close().await.unwrap();

    for path in ["/handler", "/layer"] {
        let reply = ask(&server, path).await;
        assert_eq!(seen(&reply), Some(Seen { status: 503, fields: vec![("retry-after", "1")] }));
        assert_eq!(preflight(&server, path).await.status, 200);
    }
}

#[tokio::test]
async fn cors_layer_between_limits_and_handle_shows_the_429() {
    let (traffik, _) = traffik();
    let server = Server::start(routes().layer(cors()).layer(traffik.layer())).await;

    for (path, status) in [("/layer", 200), ("/layer", 429), ("/handler", 429)] {
        let reply = ask(&server, path).await;
        assert_eq!(seen(&reply).unwrap().status, status);
        assert_eq!(seen(&reply).unwrap().fields.get(1), Some(&("ratelimit", r#""search";r=0;t=60"#)));
        assert_eq!(preflight(&server, path).await.status, 200);
    }
}

#[tokio::test]
async fn cors_layer_inside_the_limits_hides_the_429() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|| async { "found" }))
        .layer(cors())
        .layer(throttle_layer::<Search>())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(preflight(&server, "/").await.status, 200, "a preflight bypasses the limit");
    assert_eq!(left(&traffik).await, Some(1));
    assert_eq!(seen(&ask(&server, "/").await).unwrap().status, 200);
    let refused = ask(&server, "/").await;
    assert_eq!((refused.status, seen(&refused)), (429, None));
    assert_eq!(preflight(&server, "/").await.status, 200, "a preflight over the limit bypasses it");
}

#[tokio::test]
async fn preflights_are_charged_if_configured() {
    let (builder, _) = builder();
    let traffik = builder.charge_preflights().build().unwrap();
    let app = Router::new()
        .route("/", get(|| async { "found" }))
        .layer(cors())
        .layer(throttle_layer::<Api>())
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!([preflight(&server, "/").await.status, preflight(&server, "/").await.status], [200, 429]);
}

#[tokio::test]
async fn x_ratelimit_fields_have_their_own_expose_list() {
    let (builder, _) = builder();
    let traffik = builder.fields(Fields::both()).build().unwrap();
    let all = EXPOSED_HEADERS.into_iter().chain(X_RATELIMIT_HEADERS);
    let app = routes().layer(traffik.layer()).layer(cors().expose_headers(ExposeHeaders::list(all)));
    let server = Server::start(app).await;

    ask(&server, "/handler").await;
    let reply = ask(&server, "/handler").await;
    let names = reply.headers.keys().filter(|name| name.as_str().contains("ratelimit") || *name == "retry-after");
    assert_eq!(seen(&reply).unwrap().fields.len(), names.count());
    assert_eq!(seen(&reply).unwrap().fields.len(), 6);
}
