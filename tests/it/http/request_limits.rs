//! The limits that a request met, read in handlers, in middleware and from responses.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Extension, Json, Router,
    extract::Request,
    http::{StatusCode, header::CACHE_CONTROL},
    middleware::{Next, from_fn},
    response::Response,
    routing::get,
};
use serde_json::{Value, json};
use traffik::{
    Client, EXEMPTED, Limits, Rate, Settings, Throttled, Traffik, on_error, refund_if,
    strategy::{Concurrency, SlidingWindowCounter, TokenBucket},
    throttle_layer,
};

use super::{
    app::{HERE, throttle, traffik},
    backends::Unsteady,
    server::Server,
};

throttle!(Wide, "limits:wide", "9/min");
throttle!(Narrow, "limits:narrow", "2/min");
throttle!(Tokens, "limits:tokens", "1000/min", Settings::new().strategy(SlidingWindowCounter).cost(100));
throttle!(Exempt, "limits:exempt", "2/min", Settings::new().identity(|_| EXEMPTED));
throttle!(Slots, "limits:slots", "1/min", Settings::new().strategy(Concurrency));
throttle!(Failures, "limits:failures", "5/min", Settings::new().refund_if(refund_if::success));
throttle!(Lenient, "limits:lenient", "5/min", Settings::new().on_error(on_error::Allow));
throttle!(Burst, "limits:burst", "10/min", Settings::new().strategy(TokenBucket::new().burst(30)).cost(8));
throttle!(ByKey, "limits:by-key", "5/min", Settings::new().identity(|_| Client::from("alice@example.com")));

fn shown(limits: Option<&Limits>) -> String {
    let Some(limits) = limits else { return "none".to_owned() };
    let all: Vec<_> = limits.iter().map(|limit| format!("{}={}", limit.uid(), limit.remaining())).collect();
    format!("{} {}", all.join(" "), limits.is_admitted())
}

async fn show(limits: Option<Limits>) -> String {
    shown(limits.as_ref())
}

/// What middleware saw.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn add(&self, limits: Option<&Limits>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(shown(limits));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn look_at_request(Extension(seen): Extension<Seen>, request: Request, next: Next) -> Response {
    seen.add(Limits::met_by(request.extensions()).as_ref());
    next.run(request).await
}

async fn look_at_response(Extension(seen): Extension<Seen>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    seen.add(response.extensions().get::<Limits>());
    response
}

#[tokio::test]
async fn handler_and_inner_middleware_read_what_the_request_met() {
    let (traffik, _) = traffik();
    let seen = Seen::default();
    let app = Router::new()
        .route("/", get(show))
        .route("/throttled", get(|_: Throttled<Narrow>, limits: Option<Limits>| show(limits)))
        .layer(from_fn(look_at_request))
        .layer(throttle_layer::<Wide>())
        .layer(from_fn(look_at_request))
        .layer(Extension(seen.clone()))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.body, "limits:wide=8 true");
    assert_eq!(seen.take(), ["none", "limits:wide=8 true"], "outside of the throttle there is nothing yet");
    assert_eq!(server.get("/throttled").await.body, "limits:wide=7 limits:narrow=1 true");
    assert_eq!(seen.take(), ["none", "limits:wide=7 true"]);
}

#[tokio::test]
async fn limits_do_not_need_the_layer() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Narrow>, limits: Option<Limits>| show(limits)))
        .layer(Extension(traffik))
        .route("/nothing", get(show));
    let server = Server::start(app).await;
    assert_eq!(server.get("/").await.body, "limits:narrow=1 true");
    assert_eq!(server.get("/nothing").await.body, "none");
}

#[tokio::test]
async fn request_that_nothing_counted_has_no_limits() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(show))
        .route("/exempt", get(|_: Throttled<Exempt>, limits: Option<Limits>| show(limits)))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    for path in ["/", "/exempt"] {
        assert_eq!(server.get(path).await.body, "none", "{path}");
    }
}

#[tokio::test]
async fn limits_are_a_copy_that_does_not_change() {
    let (traffik, _) = traffik();
    let handler = |permit: Throttled<Tokens>, before: Option<Limits>, parts: axum::http::request::Parts| async move {
        permit.settle(30).await.unwrap();
        let after = Limits::met_by(&parts.extensions);
        format!("{}, {}", shown(before.as_ref()), shown(after.as_ref()))
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    assert_eq!(Server::start(app).await.get("/").await.body, "limits:tokens=900 true, limits:tokens=970 true");
}

#[tokio::test]
async fn limits_hold_no_permit() {
    let (traffik, _) = traffik();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let handler = move |_: Throttled<Slots>, limits: Option<Limits>| async move {
        keep.lock().unwrap().extend(limits);
    };
    let outer = Arc::clone(&kept);
    let keep_exposed = move |request: Request, next: Next| {
        let outer = Arc::clone(&outer);
        async move {
            let response = next.run(request).await;
            outer.lock().unwrap().extend(response.extensions().get::<Limits>().cloned());
            response
        }
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer().expose()).layer(from_fn(keep_exposed));
    let server = Server::start(app).await;

    for requests in 1..=3 {
        assert_eq!(server.get("/").await.status, 200);
        assert_eq!(kept.lock().unwrap().len(), 2 * requests);
    }
}

#[tokio::test]
async fn unchecked_limits_are_read_too() {
    let backend = Unsteady::new(traffik::MemoryBackend::new("test"));
    backend.fails();
    let traffik = Traffik::new(backend).unwrap();
    let handler = |_: Throttled<Lenient>, limits: Option<Limits>| async move {
        format!("{} {}", shown(limits.as_ref()), limits.unwrap().is_unchecked())
    };
    let app = Router::new().route("/", get(handler)).layer(traffik.layer());
    assert_eq!(Server::start(app).await.get("/").await.body, "limits:lenient=unlimited true true");
}

#[tokio::test]
async fn exposed_response_carries_its_limits() {
    let (traffik, _) = traffik();
    let seen = Seen::default();
    let app = Router::new()
        .route("/", get(|_: Throttled<Wide>, _: Throttled<Narrow>| async {}))
        .route("/cached", get(|_: Throttled<Wide>| async { ([(CACHE_CONTROL, "public")], "for all") }))
        .route("/failures", get(|_: Throttled<Failures>| async {}))
        .route("/failing", get(|_: Throttled<Failures>| async { StatusCode::UNAUTHORIZED }))
        .route("/open", get(|| async {}))
        .layer(traffik.layer().expose())
        .layer(from_fn(look_at_response))
        .layer(Extension(seen.clone()));
    let server = Server::start(app).await;

    for (path, status, limits) in [
        ("/", 200, "limits:wide=8 limits:narrow=1 true"),
        ("/", 200, "limits:wide=7 limits:narrow=0 true"),
        ("/", 429, "limits:wide=7 limits:narrow=0 false"),
        ("/cached", 200, "limits:wide=6 true"),
        ("/failures", 200, "limits:failures=5 true"),
        ("/failing", 401, "limits:failures=4 true"),
        ("/open", 200, "none"),
    ] {
        let reply = server.get(path).await;
        assert_eq!((reply.status, &*seen.take().join("; ")), (status, limits), "{path}");
        assert_eq!(reply.state().is_some(), !matches!(path, "/cached" | "/open"), "{path}");
    }
}

#[tokio::test]
async fn response_carries_its_limits_only_if_a_layer_exposes_them() {
    let (traffik, _) = traffik();
    let seen = Seen::default();
    let routes = || Router::new().route("/", get(|_: Throttled<Wide>| async {}));
    let with = |app: Router| app.layer(from_fn(look_at_response)).layer(Extension(seen.clone()));
    Server::start(with(routes().layer(traffik.layer()))).await.get("/").await;
    let inner = routes().layer(traffik.layer().expose()).layer(traffik.layer());
    Server::start(with(inner)).await.get("/").await;
    assert_eq!(seen.take(), ["none", "limits:wide=7 true"]);
}

#[tokio::test]
async fn usage_route_is_one_line() {
    let (traffik, clock) = traffik();
    clock.advance(std::time::Duration::from_millis(12_345));
    async fn usage(traffik: Traffik) -> Json<Limits> {
        Json(traffik.limiter::<(Narrow, Burst)>(HERE).cost(3).peek().await.unwrap())
    }
    let app = Router::new()
        .route("/", get(|_: Throttled<Burst>| async {}))
        .route("/usage", get(usage))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    server.get("/").await;

    let reply: Value = serde_json::from_str(&server.get("/usage").await.body).unwrap();
    let narrow = json!({
        "uid": "limits:narrow", "rate": "2/min", "admitted": false, "counted": true, "cost": 3, "capacity": 2, "remaining": 2,
        "retry_after_ms": null, "more_after_ms": null, "reset_after_ms": 0,
    });
    let burst = json!({
        "uid": "limits:burst", "rate": "10/min", "admitted": true, "counted": true, "cost": 3, "capacity": 30, "remaining": 22,
        "retry_after_ms": null, "more_after_ms": 6_000, "reset_after_ms": 48_000,
    });
    assert_eq!(reply, json!({ "admitted": false, "retry_after_ms": null, "limits": [narrow, burst] }));
}

#[tokio::test]
async fn serialized_limits_never_show_the_client() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<ByKey>, limits: Option<Limits>| async { Json(limits) }))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    let body = server.get("/").await.body;
    assert!(body.contains("limits:by-key") && !body.contains("alice"), "{body}");
}

#[tokio::test]
async fn serialized_times_are_rounded_up_and_absent_for_permits() {
    let (traffik, clock) = traffik();
    clock.advance(std::time::Duration::from_micros(1));
    let fill = traffik.limiter::<Narrow>("a").cost(2).check().await.unwrap();
    drop(fill);
    let held = traffik.limiter::<Slots>("a").check().await.unwrap();
    let unlimited = traffik.limiter::<Wide>("a").rate(Rate::UNLIMITED).peek().await.unwrap();

    let value = |limits: &Limits| serde_json::to_value(limits).unwrap();
    let refused = value(&traffik.limiter::<Narrow>("a").peek().await.unwrap());
    assert_eq!((&refused["admitted"], &refused["retry_after_ms"]), (&json!(false), &json!(60_000)));
    assert_eq!(refused["limits"][0]["retry_after_ms"], json!(60_000));
    let limit = &value(held.limits())["limits"][0];
    assert_eq!(
        [&limit["more_after_ms"], &limit["reset_after_ms"], &limit["remaining"]],
        [&json!(null), &json!(null), &json!(0)]
    );
    let limit = &value(&unlimited)["limits"][0];
    assert_eq!(
        [&limit["counted"], &limit["capacity"], &limit["remaining"]],
        [&json!(false), &json!(null), &json!(null)]
    );
}
