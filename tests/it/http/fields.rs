//! Responses with and without the RateLimit fields.

use std::time::{Duration, SystemTime};

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode},
    routing::{get, post},
};
use tower::ServiceExt;
use traffik::{
    Fields, MemoryBackend, Settings, Throttled, Traffik,
    clock::{AnyClock, Clock, Timestamp},
    test::{ManualClock, RequestExt},
    throttle_layer,
};

use super::{
    app::{builder, throttle, traffik},
    server::Server,
};

throttle!(Search, "search", "5/min");
throttle!(Site, "site", "100/hour");
throttle!(Api, "api", "50/hour");
throttle!(Unlimited, "unlimited", "0/0");
throttle!(Free, "free", "1/hour", Settings::new().cost(0));

#[tokio::test]
async fn success_has_the_limit_fields() {
    let (traffik, clock) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Search>| async { "found" })).layer(traffik.layer());
    let server = Server::start(app).await;

    let first = server.get("/").await;
    assert_eq!((first.status, first.body.as_str()), (200, "found"));
    assert_eq!(first.policy(), Some(r#""search";q=5;w=60"#));
    assert_eq!(first.state(), Some(r#""search";r=4;t=60"#));
    assert_eq!((first.retry_after(), first.header("cache-control")), (None, None));

    clock.advance(Duration::from_millis(10_500));
    assert_eq!(server.get("/").await.state(), Some(r#""search";r=3;t=50"#));

    clock.advance(Duration::from_millis(49_500));
    assert_eq!(server.get("/").await.state(), Some(r#""search";r=4;t=60"#));
}

#[tokio::test]
async fn error_of_the_handler_has_the_limit_fields() {
    let (traffik, _) = traffik();
    let answers = |status: StatusCode| get(move |_: Throttled<Site>| async move { status });
    let app = Router::new()
        .route("/404", answers(StatusCode::NOT_FOUND))
        .route("/429", answers(StatusCode::TOO_MANY_REQUESTS))
        .route("/500", answers(StatusCode::INTERNAL_SERVER_ERROR))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    for (status, remaining) in [(404, 99), (429, 98), (500, 97)] {
        let reply = server.get(&format!("/{status}")).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.policy(), Some(r#""site";q=100;w=3600"#));
        assert_eq!(
            reply.state(),
            Some(&*format!(r#""site";r={remaining};t=3600"#)),
            "a {status} is charged and not refunded"
        );
    }
}

#[tokio::test]
async fn not_found_response_of_a_throttled_router_has_the_limit_fields() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/known", post(|| async {})).layer(throttle_layer::<Search>()).layer(traffik.layer());
    let server = Server::start(app).await;

    let unknown = server.get("/unknown").await;
    assert_eq!((unknown.status, unknown.state()), (404, Some(r#""search";r=4;t=60"#)));
    let wrong_method = server.get("/known").await;
    assert_eq!((wrong_method.status, wrong_method.state()), (405, Some(r#""search";r=3;t=60"#)));
}

#[tokio::test]
async fn fields_set_by_the_handler_are_unchanged() {
    let (builder, _) = builder();
    let own = [
        ("ratelimit-policy", r#""upstream";q=7"#),
        ("ratelimit", r#""upstream";r=6"#),
        ("x-ratelimit-limit", "7"),
        ("x-ratelimit-remaining", "6"),
        ("x-ratelimit-reset", "1"),
    ];
    let app = Router::new()
        .route("/", get(move |_: Throttled<Search>| async move { own }))
        .layer(builder.fields(Fields::both()).build().unwrap().layer());
    let reply = Server::start(app).await.get("/").await;

    for (name, value) in own {
        assert_eq!(reply.header(name), Some(value));
    }
}

#[tokio::test]
async fn set_of_which_the_handler_has_one_field_is_unchanged() {
    let (builder, _) = builder();
    let with = |name, value| get(move |_: Throttled<Search>| async move { [(name, value)] });
    let own = [
        ("ratelimit-policy", r#""up";q=5;w=1"#),
        ("ratelimit", r#""up";r=4"#),
        ("x-ratelimit-limit", "7"),
        ("x-ratelimit-remaining", "6"),
        ("x-ratelimit-reset", "1"),
    ];
    let mut app = Router::new();
    for (name, value) in own {
        app = app.route(&format!("/{name}"), with(name, value));
    }
    let app = app.layer(builder.fields(Fields::both()).build().unwrap().layer());

    for (name, value) in own {
        let request = Request::get(format!("/{name}")).body(Body::empty()).unwrap().with_peer("203.0.113.7:50000");
        let reply = app.clone().oneshot(request).await.unwrap();
        let is_of_set = |field: &str| field.starts_with("x-") == name.starts_with("x-");
        for (field, _) in own {
            // The other set is complete.
            assert_eq!(reply.headers().contains_key(field), field == name || !is_of_set(field), "{reply:?}");
        }
        assert_eq!(reply.headers()[name], value);
    }
}

/// A clock whose process started before the wall clock was set ten hours ahead.
#[derive(Debug)]
struct SetAhead(ManualClock);

impl Clock for SetAhead {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn wall_clock(&self) -> Timestamp {
        self.0.now().saturating_add(Duration::from_secs(36_000))
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

#[tokio::test]
async fn x_ratelimit_reset_is_by_the_wall_clock_after_it_was_set() {
    let backend = MemoryBackend::with_clock("test", AnyClock::new(SetAhead(ManualClock::new())));
    let app = |traffik: &Traffik| Router::new().route("/", get(|_: Throttled<Search>| async {})).layer(traffik.layer());
    let set_ahead = Traffik::builder(backend).fields(Fields::both()).build().unwrap();
    let reply = Server::start(app(&set_ahead)).await.get("/").await;
    assert_eq!(reply.header("x-ratelimit-reset"), Some("1735812060"));

    let system = Traffik::builder(MemoryBackend::new("test")).fields(Fields::both()).build().unwrap();
    let reply = Server::start(app(&system)).await.get("/").await;
    let reset: u64 = reply.header("x-ratelimit-reset").unwrap().parse().unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!((now..=now + 61).contains(&reset), "{reset} is not within a minute of {now}");
}

#[tokio::test]
async fn response_without_a_limit_has_no_fields() {
    let (builder, _) = builder();
    let app = Router::new()
        .route("/open", get(|| async {}))
        .route("/unlimited", get(|_: Throttled<Unlimited>| async {}))
        .route("/free", get(|_: Throttled<Free>| async {}))
        .route("/one", get(|_: Throttled<(Free, Search, Unlimited)>| async {}))
        .layer(builder.fields(Fields::both()).build().unwrap().layer());
    let server = Server::start(app).await;

    for path in ["/open", "/unlimited", "/free", "/unlimited", "/free", "/nowhere"] {
        let reply = server.get(path).await;
        let count = reply.headers.keys().filter(|name| name.as_str().contains("ratelimit")).count();
        assert_eq!(count, 0, "{reply:?}");
    }
    assert_eq!(server.get("/one").await.policy(), Some(r#""search";q=5;w=60"#));
}

#[tokio::test]
async fn nested_layers_report_each_limit_once() {
    let (traffik, _) = traffik();
    let inner = Router::new()
        .route("/search", get(|_: Throttled<Search>| async {}))
        .layer(traffik.layer())
        .route_layer(throttle_layer::<Api>())
        .layer(traffik.layer());
    let app = Router::new().nest("/api", inner).layer(throttle_layer::<Site>()).layer(traffik.layer());
    let reply = Server::start(app).await.get("/api/search").await;

    assert_eq!(reply.status, 200);
    assert_eq!(reply.policy(), Some(r#""site";q=100;w=3600, "api";q=50;w=3600, "search";q=5;w=60"#));
    assert_eq!(reply.state(), Some(r#""site";r=99;t=3600, "api";r=49;t=3600, "search";r=4;t=60"#));
}

#[tokio::test]
async fn x_ratelimit_fields_report_the_tightest_limit_if_configured() {
    let (builder, clock) = builder();
    let traffik = builder.fields(Fields::both()).build().unwrap();
    let app = Router::new().route("/", get(|_: Throttled<(Site, Search)>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;
    clock.advance(Duration::from_micros(1));

    let fields = |reply: &super::server::Reply| {
        ["limit", "remaining", "reset"].map(|name| reply.header(&format!("x-ratelimit-{name}")).unwrap().to_owned())
    };
    // The next minute after 2025-01-02T00:00:00Z.
    assert_eq!(fields(&server.get("/").await), ["5", "4", "1735776060"]);
    for _ in 0..4 {
        server.get("/").await;
    }
    let refused = server.get("/").await;
    assert_eq!((refused.status, fields(&refused)), (429, ["5", "0", "1735776060"].map(String::from)));
    assert_eq!(refused.policy(), Some(r#""site";q=100;w=3600, "search";q=5;w=60"#));
}
