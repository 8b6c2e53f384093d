//! Rules in an app: nested or not, in settings, by uid and in layers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    extract::Request,
    http::{Method, request::Parts},
    routing::{any, get, post},
};
use traffik::{
    Bypass, Client, ConfigError, Rule, Settings, Throttle, Throttled, Traffik, backend::MemoryBackend, throttle_layer,
};

use super::{
    app::{builder, throttle, traffik},
    server::{Server, read_to_end},
};

throttle!(Api, "rules:api", "100/min", Settings::new().rule(Rule::path("/api/**")).bypass(Bypass::path("/api/health")));

async fn ok(_: Throttled<Api>) {}

/// Returns whether the limit of `Api` was checked, by the fields of the response.
async fn meets(server: &Server, path: &str) -> bool {
    let reply = server.get(path).await;
    assert_eq!(reply.status, 200, "{path}");
    reply.state().is_some()
}

#[tokio::test]
async fn rule_sees_the_sent_path_nested_or_not() {
    let (traffik, _) = traffik();
    let flat = Router::new()
        .route("/api/users", get(ok))
        .route("/api/health", get(ok))
        .route("/other/users", get(ok))
        .fallback(ok);
    let inner = || Router::new().route("/users", get(ok)).route("/health", get(ok)).fallback(ok);
    let nested = Router::new().nest("/api", inner()).nest("/other", inner()).fallback(ok);
    let deeper = Router::new().nest("/api", Router::new().nest("/v1", inner())).fallback(ok);

    for app in [flat, nested] {
        let server = Server::start(app.layer(traffik.layer())).await;
        assert!(meets(&server, "/api/users?page=1").await);
        assert!(!meets(&server, "/api/health").await);
        assert!(!meets(&server, "/other/users").await);
        assert!(meets(&server, "/api/nowhere").await && !meets(&server, "/nowhere").await);
        assert!(meets(&server, "/api//users").await && meets(&server, "/%61pi/health").await);
        assert!(meets(&server, "/api/health/").await);
    }
    let server = Server::start(deeper.layer(traffik.layer())).await;
    assert!(meets(&server, "/api/v1/users").await && meets(&server, "/api/v1/health").await);
}

#[tokio::test]
async fn layers_inside_and_outside_a_nested_router_see_the_same_path() {
    let (traffik, _) = traffik();
    let inside = Router::new().route("/users", get(|| async {})).layer(throttle_layer::<Api>());
    let around = Router::new().route("/api/users", get(|| async {})).route("/users", get(|| async {}));
    for app in [Router::new().nest("/api", inside), around.layer(throttle_layer::<Api>())] {
        let server = Server::start(app.layer(traffik.layer())).await;
        assert!(meets(&server, "/api/users").await);
    }
}

/// Sends a target as it stands, like a client that does not normalize URLs.
#[tokio::test]
async fn dot_segments_on_the_wire_do_not_bypass_a_rule() {
    let (traffik, _) = traffik();
    let server = Server::start(Router::new().fallback(ok).layer(traffik.layer())).await;
    for (target, meets) in [
        ("/x/../api/users", true),
        ("/api/health/../users", true),
        ("/api/%68ealth", true),
        ("http://elsewhere/api/users", true),
        ("/api%2fusers", true),
        ("/api/health?next=/x", false),
        ("/x/../y", false),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
        let response = read_to_end(server.open(&request).await).await;
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        assert_eq!(response.contains("ratelimit:"), meets, "{target}");
    }
}

/// All these requests are for paths below `/api`, whichever router answers them.
#[tokio::test]
async fn fallbacks_rewrites_and_methods_do_not_bypass_a_rule() {
    let (traffik, _) = traffik();
    let service = Router::new().route("/users", any(ok)).fallback(ok);
    let rewritten = |mut request: Request| async move {
        *request.uri_mut() = axum::http::Uri::from_static("/api/health");
        request
    };
    let app = Router::new()
        .nest_service("/api", Router::new().nest("/v1", service.clone()).fallback_service(service))
        .route("/api/rewritten", any(ok).layer(axum::middleware::map_request(rewritten)))
        .fallback(ok);
    let server = Server::start(app.layer(traffik.layer())).await;
    for target in [
        "/api/v1/users",
        "/api/v1/nowhere",
        "/api/nowhere",
        "/api/v1//users/",
        "/api/v1/users%2f..%2f..%2fhealth",
        "/api/rewritten",
        "/api/health;a=b",
        "/api/health%00",
        "/api/health%20",
        "/api/health%3f",
        "/api/./health",
        "/x/%2e%2e/api/health",
        "//api/health",
    ] {
        for method in ["GET", "HEAD", "POST", "OPTIONS", "PROPFIND"] {
            let override_it =
                "x-http-method-override: GET\r\nx-original-url: /api/health\r\nx-rewrite-url: /api/health";
            let request =
                format!("{method} {target} HTTP/1.1\r\nhost: here\r\n{override_it}\r\nconnection: close\r\n\r\n");
            let response = read_to_end(server.open(&request).await).await;
            assert!(response.contains("ratelimit:"), "{method} {target}: {response}");
        }
    }
}

static NAMED: AtomicUsize = AtomicUsize::new(0);

fn counted_identity(_: &Parts) -> Client {
    NAMED.fetch_add(1, Ordering::SeqCst);
    Client::from("all")
}

throttle!(
    Named,
    "rules:named",
    "1/min",
    Settings::new().rule(Rule::methods([Method::POST])).identity(counted_identity)
);

#[tokio::test]
async fn throttle_that_does_not_apply_has_no_effect() {
    let (traffik, _) = traffik();
    let handler = |permit: Throttled<Named>| async move { permit.tightest().is_counted().to_string() };
    // There is no address and no working backend: neither is used.
    let server = Server::start_without_peers(Router::new().route("/", any(handler)).layer(traffik.layer())).await;
    traffik.close().await.unwrap();

    for _ in 0..3 {
        let reply = server.get("/").await;
        assert_eq!((reply.status, reply.body.as_str(), reply.policy(), reply.state()), (200, "false", None, None));
    }
    assert_eq!(NAMED.load(Ordering::SeqCst), 0);
    assert_eq!(server.send(Request::post("/"), "").await.status, 503);
    assert_eq!(NAMED.load(Ordering::SeqCst), 1);
}

throttle!(Burst, "rules:burst", "5/min");
throttle!(Writes, "rules:writes", "1/min", Settings::new().rule(Rule::methods([Method::POST])));

#[tokio::test]
async fn applicable_throttles_of_a_tuple_are_one_decision() {
    let (traffik, _) = traffik();
    let handler = |_: Throttled<(Burst, Writes)>| async {};
    let server = Server::start(Router::new().route("/", any(handler)).layer(traffik.layer())).await;

    assert_eq!(server.get("/").await.state(), Some(r#""rules:burst";r=4;t=60"#));
    let post = || server.send(Request::post("/"), "");
    assert_eq!(post().await.state(), Some(r#""rules:burst";r=3;t=60, "rules:writes";r=0;t=60"#));
    let refused = post().await;
    assert_eq!((refused.status, refused.state()), (429, Some(r#""rules:burst";r=3;t=60, "rules:writes";r=0;t=60"#)));
    assert_eq!(server.get("/").await.state(), Some(r#""rules:burst";r=2;t=60"#));
}

throttle!(Elsewhere, "rules:elsewhere", "5/min", Settings::new().rule(Rule::prefix("/a")));

#[tokio::test]
async fn rules_of_the_app_are_added_by_uid() {
    let (builder, _) = builder();
    let traffik = builder
        .rule("rules:elsewhere", Rule::methods([Method::POST]))
        .bypass("rules:elsewhere", Bypass::path("/a/free"))
        .register::<Elsewhere>()
        .build()
        .unwrap();
    let app = Router::new().fallback(|_: Throttled<Elsewhere>| async {}).layer(traffik.layer());
    let server = Server::start(app).await;
    assert_eq!(server.get("/a").await.state(), None);
    assert_eq!(server.send(Request::post("/b"), "").await.state(), None);
    assert_eq!(server.send(Request::post("/a/free"), "").await.state(), None);
    assert_eq!(server.send(Request::post("/a"), "").await.state(), Some(r#""rules:elsewhere";r=4;t=60"#));
}

#[test]
fn unknown_uid_in_rules_is_an_error_that_suggests_similar_uids() {
    let build = |uid| {
        Traffik::builder(MemoryBackend::new("test"))
            .register::<(Elsewhere, Burst)>()
            .bypass(uid, Bypass::path("/"))
            .build()
    };
    let error = build("rules:else-where").unwrap_err();
    assert!(
        matches!(&error, ConfigError::UnknownUid { uid, near, .. } if **uid == *"rules:else-where" && *near[0] == *"rules:elsewhere")
    );
    let text = error.to_string();
    assert!(text.contains("did you mean one of [\"rules:elsewhere\"") && text.contains(".register::<T>()"), "{text}");
    assert!(!build("x").unwrap_err().to_string().contains("did you mean"));
}

throttle!(Bad, "rules:bad", "5/min", Settings::new().rule(Rule::path("/users/{id}")));
throttle!(Never, "rules:never", "5/min", Settings::new().rule(Rule::prefix("/a")).rule(Rule::prefix("/b")));
throttle!(NoMethods, "rules:none", "5/min", Settings::new().bypass(Bypass::methods([])));
throttle!(BadRegex, "rules:regex", "5/min", Settings::new().bypass(Bypass::regex("a)|(b")));

#[test]
fn wrong_rules_fail_the_build() {
    fn build<T: Throttle>() -> String {
        Traffik::builder(MemoryBackend::new("test")).register::<T>().build().unwrap_err().to_string()
    }
    for (error, parts) in [
        (build::<Bad>(), ["rules:bad", "Bad", "/users/{id}", "write `*` for one segment"]),
        (build::<Never>(), ["rules:never", "Never", "\"/a\"", "one.or(other)"]),
        (build::<NoMethods>(), ["rules:none", "NoMethods", "empty list of methods", "never match"]),
        (build::<BadRegex>(), ["rules:regex", "BadRegex", "a)|(b", "regex"]),
    ] {
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    let added = Traffik::builder(MemoryBackend::new("test"))
        .register::<Writes>()
        .rule("rules:writes", Rule::methods([Method::GET]))
        .build();
    assert!(added.unwrap_err().to_string().contains("never apply"));
}

#[tokio::test]
async fn wrong_rules_of_an_unregistered_throttle_reject_every_request() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/a", get(|_: Throttled<Bad>| async {}))
        .route("/b", get(|| async {}).layer(throttle_layer::<Burst>().rule::<Burst>(Rule::path("b"))))
        .route("/c", get(|| async {}).layer(throttle_layer::<Burst>().bypass::<Writes>(Bypass::path("/c"))))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    for (path, says) in [("/a", "write `*`"), ("/b", "begins with `/`"), ("/c", "not in the layer")] {
        let reply = server.get(path).await;
        assert_eq!(reply.status, 500);
        assert!(reply.body.contains(says), "{}", reply.body);
    }
}

throttle!(Slow, "rules:slow", "1/min", Settings::new().rule(Rule::async_when(is_slow)));

async fn is_slow(parts: &Parts) -> bool {
    tokio::task::yield_now().await;
    parts.headers.contains_key("x-slow")
}

#[tokio::test]
async fn async_rule_function_may_wait() {
    let (traffik, _) = traffik();
    let app = Router::new().route(
        "/",
        post(|_: Throttled<Slow>| async {}).layer(throttle_layer::<Burst>().rule::<Burst>(Rule::async_when(is_slow))),
    );
    let server = Server::start(app.layer(traffik.layer())).await;
    assert_eq!(server.send(Request::post("/"), "").await.state(), None);
    let slow = || server.send(Request::post("/").header("x-slow", "1"), "");
    assert_eq!(slow().await.state(), Some(r#""rules:burst";r=4;t=60, "rules:slow";r=0;t=60"#));
    assert_eq!(slow().await.status, 429);
}

#[tokio::test]
async fn policy_applies_the_rules_of_its_layer_in_one_decision() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let (traffik, _) = traffik();
    let policy =
        throttle_layer::<(Api, Burst, Writes)>().rule::<Burst>(Rule::http()).rule::<Api>(Rule::when(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            true
        }));
    let server = Server::start(Router::new().fallback(|| async {}).layer(policy).layer(traffik.layer())).await;

    assert_eq!(server.get("/").await.state(), Some(r#""rules:burst";r=4;t=60"#));
    assert_eq!(server.get("/api/x").await.state(), Some(r#""rules:api";r=99;t=60, "rules:burst";r=3;t=60"#));
    let all = server.send(Request::post("/api/x"), "").await;
    assert_eq!(all.state(), Some(r#""rules:api";r=98;t=60, "rules:burst";r=2;t=60, "rules:writes";r=0;t=60"#));
    assert_eq!(server.send(Request::post("/api/x"), "").await.status, 429);
    // The refused decision charges nothing.
    assert_eq!(server.get("/api/x").await.state(), Some(r#""rules:api";r=97;t=60, "rules:burst";r=1;t=60"#));

    let upgrade = Request::get("/chat")
        .header("upgrade", "websocket")
        .header("connection", "upgrade")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(server.send(upgrade, "").await.state(), None);
    assert_eq!(calls.load(Ordering::SeqCst), 6);
}

static CALLS: AtomicUsize = AtomicUsize::new(0);

throttle!(
    Counting,
    "rules:counting",
    "100/min",
    Settings::new().rule(Rule::when(|_: &Parts| {
        CALLS.fetch_add(1, Ordering::SeqCst);
        true
    }))
);

#[tokio::test]
async fn function_of_a_throttle_is_not_called_for_requests_that_its_layer_excludes() {
    let (traffik, _) = traffik();
    let layer = throttle_layer::<Counting>().rule::<Counting>(Rule::prefix("/api"));
    let server =
        Server::start(Router::new().route("/{*any}", any(|| async {})).layer(layer).layer(traffik.layer())).await;
    assert_eq!(server.get("/assets/x").await.status, 200);
    let preflight = Request::options("/api/x")
        .header("origin", "https://example.com")
        .header("access-control-request-method", "PUT");
    assert_eq!(server.send(preflight, "").await.status, 200);
    assert_eq!(CALLS.load(Ordering::SeqCst), 0);
    assert_eq!(server.get("/api/x").await.status, 200);
    assert_eq!(CALLS.load(Ordering::SeqCst), 1);
}
