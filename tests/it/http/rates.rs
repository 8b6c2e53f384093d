//! Clients whose rates depend on the request.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, request::Parts},
    routing::get,
};
use traffik::{
    Client, DefaultIdentity, EXEMPTED, Rate, Settings, Throttle, Throttled, Traffik,
    backend::MemoryBackend,
    client_ip,
    strategy::{FixedWindow, Gcra, LeakyBucket, SlidingWindowCounter, SlidingWindowLog, TokenBucket},
    test::ManualClock,
    throttle_layer,
};

use super::{
    app::{throttle, traffik},
    server::{Reply, Server},
};

fn by_user(parts: &Parts) -> Client {
    match parts.headers.get("x-user").and_then(|user| user.to_str().ok()) {
        Some("root") => EXEMPTED,
        Some(user) => user.to_owned().into(),
        None => client_ip(parts).map_or(EXEMPTED, Client::from),
    }
}

/// Reads the rate from a header.
fn by_plan(parts: &Parts, _: &Client) -> Rate {
    match parts.headers.get("x-plan").and_then(|plan| plan.to_str().ok()) {
        Some(rate) => rate.parse().unwrap_or(Rate::UNLIMITED),
        None => const { Rate::literal("2/min") },
    }
}

async fn by_contract(parts: &Parts, client: &Client) -> Result<Rate, (StatusCode, &'static str)> {
    tokio::task::yield_now().await;
    if client == &Client::from("nobody") {
        return Err((StatusCode::PAYMENT_REQUIRED, "no contract"));
    }
    Ok(by_plan(parts, client))
}

fn planned() -> Settings {
    Settings::new().identity(by_user).rate_of(by_plan)
}

throttle!(Planned, "planned", "1/hour", planned());
throttle!(Contracted, "contracted", "1/hour", Settings::new().identity(by_user).async_rate_of(by_contract));
throttle!(Fixed, "fixed", "100/min", Settings::new().identity(by_user));
throttle!(Log, "log", "5/min", planned().strategy(SlidingWindowLog));
throttle!(Refusing, "refusing", "1/hour");

async fn of<T>(permit: Throttled<T>) -> String {
    let limit = permit.tightest();
    if limit.is_counted() { limit.remaining().to_string() } else { "uncounted".to_owned() }
}

async fn at(server: &Server, path: &str, user: &'static str, plan: &str) -> Reply {
    server.send(Request::get(path).header("x-user", user).header("x-plan", plan), "").await
}

#[tokio::test]
async fn users_of_one_throttle_have_the_rates_of_their_plans() {
    let (traffik, _) = traffik();
    let app =
        Router::new().route("/now", get(of::<Planned>)).route("/later", get(of::<Contracted>)).layer(traffik.layer());
    let server = Server::start(app).await;

    for (path, uid) in [("/now", "planned"), ("/later", "contracted")] {
        for left in (0..3).rev() {
            let ann = at(&server, path, "ann", "3/min").await;
            assert_eq!((ann.status, ann.body.clone()), (200, left.to_string()));
            assert_eq!(ann.policy(), Some(&*format!("{uid:?};q=3;w=60")));
            let bob = at(&server, path, "bob", "100/hour").await;
            assert_eq!((bob.status, bob.body.clone()), (200, (left + 97).to_string()));
            assert_eq!(bob.policy(), Some(&*format!("{uid:?};q=100;w=3600")));
        }
        let ann = at(&server, path, "ann", "3/min").await;
        assert_eq!((ann.status, ann.policy()), (429, Some(&*format!("{uid:?};q=3;w=60"))));
        assert!(ann.body.contains("allows 3 requests per minute; try again in 1m"), "{}", ann.body);
        assert_eq!(at(&server, path, "bob", "100/hour").await.status, 200);
    }
    let nobody = at(&server, "/later", "nobody", "3/min").await;
    assert_eq!((nobody.status, nobody.body.as_str(), nobody.state()), (402, "no contract", None));
}

#[tokio::test]
async fn unlimited_client_is_not_counted() {
    let backend = MemoryBackend::with_clock("test", ManualClock::new());
    let traffik = Traffik::new(backend.clone()).unwrap();
    let app = Router::new().route("/", get(of::<Planned>)).layer(traffik.layer());
    let server = Server::start(app).await;

    for _ in 0..5 {
        let reply = at(&server, "/", "ann", "0/0").await;
        assert_eq!((reply.status, reply.body.as_str(), reply.policy()), (200, "uncounted", None));
    }
    assert_eq!(backend.len(), 0);
    assert_eq!(at(&server, "/", "ann", "1/min").await.status, 200);
    assert_eq!(at(&server, "/", "ann", "1/min").await.status, 429);
    assert_eq!(at(&server, "/", "ann", "0/0").await.status, 200);
}

static ASKED: AtomicUsize = AtomicUsize::new(0);

fn counted(_: &Parts, _: &Client) -> Rate {
    ASKED.fetch_add(1, Ordering::SeqCst);
    Rate::literal("50/min")
}

throttle!(Counted, "counted", "1/min", Settings::new().identity(by_user).rate_of(counted));
throttle!(CountedToo, "counted-too", "1/min", Settings::new().identity(by_user).rate_of(counted));
throttle!(CountedFree, "counted-free", "1/min", Settings::new().cost_of(|_| 0).rate_of(counted));

#[tokio::test]
async fn rate_function_runs_once_per_decision_and_only_if_counted() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/one", get(of::<Counted>))
        .route("/two", get(of::<(Counted, CountedToo)>))
        .route("/free", get(of::<CountedFree>))
        .route("/other", get(of::<CountedToo>).route_layer(throttle_layer::<Counted>()))
        .route("/again", get(of::<Counted>).route_layer(throttle_layer::<Counted>()))
        .route("/later", get(of::<(Counted, Contracted, CountedToo)>))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    // A throttle that was already charged does not call its function again.
    for (path, user, asked) in [
        ("/one", "ann", 1),
        ("/two", "ann", 1),
        ("/free", "ann", 0),
        ("/one", "root", 0),
        ("/other", "ann", 2),
        ("/again", "ann", 1),
        ("/later", "ann", 1),
    ] {
        assert_eq!(at(&server, path, user, "5/min").await.status, 200);
        assert_eq!(ASKED.swap(0, Ordering::SeqCst), asked, "{path} {user}");
    }
}

#[tokio::test]
async fn rate_that_the_strategy_rejects_is_an_error_that_names_it() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(of::<Log>)).route("/both", get(of::<(Fixed, Log)>)).layer(traffik.layer());
    let server = Server::start(app).await;

    for _ in 0..3 {
        for path in ["/", "/both"] {
            let reply = at(&server, path, "ann", "1000000/min").await;
            assert_eq!(reply.status, 500);
            for word in
                [r#"Log` (uid "log")"#, "at the rate 1000000/min", "limit of 1000000 is out of bounds", "at most 65536"]
            {
                assert!(reply.body.contains(word), "{word}: {}", reply.body);
            }
        }
    }
    // Other clients are not affected, and nothing was charged.
    assert_eq!(at(&server, "/", "ann", "65536/min").await.body, "65535");
    assert_eq!(at(&server, "/both", "ann", "5/min").await.body, "3");
    assert_eq!(traffik.limiter::<Fixed>("ann").peek().await.unwrap().tightest().remaining(), 99);
}

#[tokio::test]
async fn refund_uses_the_rate_of_its_request() {
    let (traffik, _) = traffik();
    let app = Router::new()
        .route("/", get(|_: Throttled<Refusing>| async {}).route_layer(throttle_layer::<Planned>()))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(at(&server, "/", "ann", "5/min").await.status, 200);
    for (plan, left) in [("5/min", 4), ("100/min", 99), ("7/min", 6)] {
        let reply = at(&server, "/", "ann", plan).await;
        assert_eq!(reply.status, 429);
        assert!(reply.state().is_some_and(|state| state.starts_with(&format!(r#""planned";r={left};"#))), "{reply:?}");
    }
}

throttle!(InFixedWindow, "fixed-window", "1/s", planned().strategy(FixedWindow));
throttle!(InSlidingWindow, "sliding-window", "1/s", planned().strategy(SlidingWindowCounter));
throttle!(InLog, "sliding-log", "1/s", planned().strategy(SlidingWindowLog));
throttle!(InTokenBucket, "token-bucket", "1/s", planned().strategy(TokenBucket::new()));
throttle!(InLeakyBucket, "leaky-bucket", "1/s", planned().strategy(LeakyBucket::new()));
throttle!(InGcra, "gcra", "1/s", planned().strategy(Gcra::new().burst(5)));

/// Uses up a plan of five requests per minute, then changes the plan.
async fn change<T: Throttle<Identity = DefaultIdentity>>() {
    for (other, at_once) in
        [("5/s", 0), ("5/hour", 0), ("5/day", 0), ("3/min", 0), ("1/20d", 0), ("8/min", 3), ("8/s", 3)]
    {
        let (traffik, clock) = traffik();
        let app = Router::new().route("/", get(of::<T>)).layer(traffik.layer());
        let server = Server::start(app).await;
        for _ in 0..5 {
            assert_eq!(at(&server, "/", "ann", "5/min").await.status, 200);
        }
        assert_eq!(at(&server, "/", "ann", "5/min").await.status, 429);

        // A higher limit adds the difference. A burst keeps its size, whatever the limit.
        let at_once = if T::UID == "gcra" { 0 } else { at_once };
        for _ in 0..at_once {
            assert_eq!(at(&server, "/", "ann", other).await.status, 200, "{} {other}", T::UID);
        }
        let refused = at(&server, "/", "ann", other).await;
        assert_eq!(refused.status, 429, "{} {other}", T::UID);
        assert_eq!(at(&server, "/", "ann", "5/min").await.status, 429, "{} {other}", T::UID);
        assert_eq!(at(&server, "/", "bob", "5/min").await.body, "4", "another client has its whole plan");

        // The refusal ends: it has a `Retry-After`.
        let wait = refused.retry_after().and_then(|wait| wait.parse().ok()).map(Duration::from_secs);
        assert!(wait.is_some_and(|wait| !wait.is_zero()), "{} {other}", T::UID);
        clock.advance(wait.unwrap_or_default());
        assert_eq!(at(&server, "/", "ann", other).await.status, 200, "{} {other}", T::UID);
    }
}

#[tokio::test]
async fn change_of_plan_keeps_the_count() {
    change::<InFixedWindow>().await;
    change::<InSlidingWindow>().await;
    change::<InLog>().await;
    change::<InTokenBucket>().await;
    change::<InLeakyBucket>().await;
    change::<InGcra>().await;
}
