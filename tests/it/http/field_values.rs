//! The limit fields byte by byte, and as structured fields.

use std::time::Duration;

use axum::{Router, routing::get};
use traffik::{Settings, Throttled, strategy::TokenBucket};

use super::{
    app::{throttle, traffik},
    server::Server,
    wire::{Item, read},
};

throttle!(Quoted, r#"say "when"\now"#, "1/min");
throttle!(Fast, "fast", "1000/500ms");
throttle!(Odd, "odd", "3/1500ms");
throttle!(Huge, "huge", "100_000_000_000_000/50d");
throttle!(Bucket, "bucket", "60/min", Settings::new().strategy(TokenBucket::new().burst(90)));
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
    assert_eq!((refused.policy(), refused.state()), (Some(r#""bucket";q=60;w=60"#), Some(r#""bucket";r=0;t=1"#)));
}
