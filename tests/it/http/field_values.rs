//! The limit fields byte by byte, and as structured fields.

use std::time::Duration;

use axum::{Router, routing::get};
use traffik::{
    Fields, Rate, Settings, Throttled,
    clock::Timestamp,
    strategy::{
        AnyStrategy, Gcra, LeakyBucket, LeakyBucketWithQueue, State, StoredState, Strategy, StrategyError, TokenBucket,
    },
};

use super::{
    app::{builder, throttle, traffik},
    server::Server,
    wire::{Item, read},
};

throttle!(Quoted, r#"say "when"\now"#, "1/min");
throttle!(Fast, "fast", "1000/500ms");
throttle!(Odd, "odd", "3/1500ms");
throttle!(Huge, "huge", "100_000_000_000_000/50d");
throttle!(Bucket, "bucket", "60/min", Settings::new().strategy(TokenBucket::new().burst(90)));
throttle!(Burst, "burst", "10/min", Settings::new().strategy(TokenBucket::new().burst(30)));
throttle!(Debt, "debt", "10/min", Settings::new().strategy(TokenBucket::new().burst(10).debt(20)));
throttle!(Leaky, "leaky", "10/min", Settings::new().strategy(LeakyBucket::new().capacity(25)));
throttle!(Even, "even", "10/min", Settings::new().strategy(Gcra));
throttle!(EvenBurst, "even-burst", "7/min", Settings::new().strategy(Gcra::new().burst(5)));
throttle!(EvenFast, "even-fast", "1000/s", Settings::new().strategy(Gcra));
throttle!(Queued, "queued", "60/min", Settings::new().strategy(LeakyBucketWithQueue::new().queue(4)));
throttle!(Delayed, "delayed", "60/min", Settings::new().strategy(LeakyBucketWithQueue));
throttle!(Most, "most", "1/min", Settings::new().strategy(AnyStrategy::custom(Boundless)));
throttle!(Large, "large", "5/min", Settings::new().cost(6));

#[tokio::test]
async fn quotes_and_backslashes_in_a_uid_are_escaped() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Quoted>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;

    let reply = server.get("/").await;
    assert_eq!(reply.policy(), Some(r#""say \"when\"\\now";q=1;w=60"#));
    assert_eq!(reply.state(), Some(r#""say \"when\"\\now";r=0;t=60"#));
    assert_eq!(read(reply.policy().unwrap()), [Item::new(r#"say "when"\now"#, [("q", 1), ("w", 60)])]);

    let refused = server.get("/").await;
    assert_eq!(refused.state(), Some(r#""say \"when\"\\now";r=0;t=60"#));
    assert_eq!(refused.problem("violated-policies")[0], r#"say "when"\now"#);
}

#[tokio::test]
async fn window_is_in_whole_seconds_and_omitted_below_one() {
    let (traffik, clock) = traffik();
    let app = Router::new()
        .route("/fast", get(|_: Throttled<Fast>| async {}))
        .route("/odd", get(|_: Throttled<Odd>| async {}))
        .layer(traffik.layer());
    let server = Server::start(app).await;

    let fast = server.get("/fast").await;
    assert_eq!((fast.policy(), fast.state()), (Some(r#""fast";q=1000"#), Some(r#""fast";r=999;t=1"#)));
    let odd = server.get("/odd").await;
    assert_eq!((odd.policy(), odd.state()), (Some(r#""odd";q=3;w=2"#), Some(r#""odd";r=2;t=2"#)));

    clock.advance(Duration::from_micros(1_499_999));
    assert_eq!(server.get("/odd").await.state(), Some(r#""odd";r=1;t=1"#), "a microsecond rounds up to a second");
}

#[tokio::test]
async fn largest_numbers_have_fifteen_digits() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Huge>| async {})).layer(traffik.layer());
    let reply = Server::start(app).await.get("/").await;

    // Fifty days run from one window edge to the next. 2025-01-02 lies 45 days into one.
    assert_eq!(reply.policy(), Some(r#""huge";q=100000000000000;w=4320000"#));
    let state = read(reply.state().unwrap());
    assert_eq!(state[0].parameters[0], ("r".to_owned(), 99_999_999_999_999));
}

#[tokio::test]
async fn reset_is_omitted_if_nothing_is_used() {
    let (traffik, _) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Large>| async {})).layer(traffik.layer());
    let reply = Server::start(app).await.get("/").await;

    assert_eq!(reply.status, 429);
    assert_eq!((reply.policy(), reply.state()), (Some(r#""large";q=5;w=60"#), Some(r#""large";r=5"#)));
}

#[tokio::test]
async fn reset_is_the_time_until_the_next_token() {
    let (traffik, clock) = traffik();
    let app = Router::new().route("/", get(|_: Throttled<Bucket>| async {})).layer(traffik.layer());
    let server = Server::start(app).await;

    assert_eq!(server.get("/").await.state(), Some(r#""bucket";r=89;t=1"#));
    for _ in 0..89 {
        server.get("/").await;
    }
    clock.advance(Duration::from_millis(1));
    let refused = server.get("/").await;
    assert_eq!((refused.status, refused.retry_after()), (429, Some("1")));
    assert_eq!((refused.policy(), refused.state()), (Some(r#""bucket";q=90;w=90"#), Some(r#""bucket";r=0;t=1"#)));
}

#[tokio::test]
async fn quota_is_the_most_at_once_and_window_is_the_time_in_which_it_comes_back() {
    let (builder, _) = builder();
    let app = Router::new()
        .route("/burst", get(|_: Throttled<Burst>| async {}))
        .route("/debt", get(|_: Throttled<Debt>| async {}))
        .route("/leaky", get(|_: Throttled<Leaky>| async {}))
        .route("/even", get(|_: Throttled<Even>| async {}))
        .route("/even-burst", get(|_: Throttled<EvenBurst>| async {}))
        .route("/even-fast", get(|_: Throttled<EvenFast>| async {}))
        .route("/queued", get(|_: Throttled<Queued>| async {}))
        .route("/delayed", get(|_: Throttled<Delayed>| async {}))
        .layer(builder.fields(Fields::both()).build().unwrap().layer());
    let server = Server::start(app).await;

    for (name, quota, window) in [
        ("burst", 30, ";w=180"),
        ("debt", 30, ";w=180"),
        ("leaky", 25, ";w=150"),
        ("even", 1, ";w=6"),
        ("even-burst", 5, ";w=43"),
        ("even-fast", 1, ""),
        // What waits, and what leaves without waiting.
        ("queued", 5, ";w=5"),
        ("delayed", 11, ";w=11"),
    ] {
        let reply = server.get(&format!("/{name}")).await;
        assert_eq!(reply.policy(), Some(format!(r#""{name}";q={quota}{window}"#).as_str()));
        let state = read(reply.state().unwrap());
        assert_eq!(state[0].parameters[0], ("r".to_owned(), quota - 1), "{name}");
        assert_eq!(reply.header("x-ratelimit-limit"), Some(quota.to_string().as_str()));
        assert_eq!(reply.header("x-ratelimit-remaining"), Some((quota - 1).to_string().as_str()));
    }
}

/// Admits everything, and shows the largest numbers.
#[derive(Debug)]
struct Boundless;

impl Strategy for Boundless {
    fn name(&self) -> &'static str {
        "boundless"
    }

    fn check(&self, _: Rate) -> Result<(), StrategyError> {
        Ok(())
    }

    fn capacity(&self, _: Rate) -> u64 {
        u64::MAX
    }

    fn available(&self, _: Option<&StoredState>, _: Rate, _: Timestamp) -> u64 {
        u64::MAX - 1
    }

    fn available_at(&self, _: Option<&StoredState>, _: Rate, _: u64, _: Timestamp) -> Timestamp {
        Timestamp::from_micros(u64::MAX)
    }

    fn charge(&self, _: Option<StoredState>, _: Rate, _: u64, now: Timestamp) -> State {
        State::new(now.saturating_add(Duration::from_secs(60)), [0, 0])
    }

    fn refund(&self, past: StoredState, _: u64, _: Timestamp, _: Timestamp) -> State {
        past.state
    }

    fn clamped_to(&self, _: &StoredState, _: Timestamp) -> Option<State> {
        None
    }
}

#[tokio::test]
async fn numbers_above_fifteen_digits_are_capped() {
    let (builder, _) = builder();
    let app = Router::new()
        .route("/", get(|_: Throttled<Most>| async {}))
        .layer(builder.fields(Fields::both()).build().unwrap().layer());
    let reply = Server::start(app).await.get("/").await;

    assert_eq!(reply.policy(), Some(r#""most";q=999999999999999;w=18446744073710"#));
    assert_eq!(reply.state(), Some(r#""most";r=999999999999999;t=18445008297710"#));
    assert_eq!(reply.header("x-ratelimit-limit"), Some("999999999999999"));
    assert_eq!(reply.header("x-ratelimit-remaining"), Some("999999999999999"));
}
