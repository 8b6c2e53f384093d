//! Queued requests: each gets its own turn, from any number of connections.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::Request, routing::get};
use tests::limit;
use tokio::{sync::Barrier, task::JoinSet};
use tower::ServiceExt;
use traffik::{
    DefaultIdentity, Rate, Settings, Throttle, Throttled, Traffik,
    backend::Backend,
    client::Key,
    clock::Timestamp,
    decision::{Hit, LimitStatus},
    strategy::{AnyStrategy, LeakyBucketWithQueue},
    test::RequestExt,
};
use traffik_redis::RedisBackend;

use crate::{Client, PLENTY, Result, builder, own::CoolDown, server::Server};

/// No turn comes while a test runs, and each is off by a fraction of a microsecond.
const RATE: Rate = Rate::literal("7/d");

/// The time of a decision, and the time of the departure; `None` if it was refused.
type Turn = Option<(Timestamp, Timestamp)>;

/// A few consecutive requests of one client. With a strategy that has no Lua program, they are decided in Rust.
async fn take_turns(backend: RedisBackend, is_beside_own: bool) -> Result<Vec<Turn>> {
    let key = Key::from("everybody");
    let (queue, own) = (AnyStrategy::from(LeakyBucketWithQueue::new().queue(29)), AnyStrategy::custom(CoolDown));
    let hits = [("turns", &queue, RATE), ("own", &own, Rate::literal("1000/30d"))]
        .map(|(uid, strategy, rate)| Hit::new(limit(uid, strategy), &key, rate, 1));
    let hits = if is_beside_own { hits.as_slice() } else { hits.get(..1).unwrap_or_default() };
    let mut turns = Vec::new();
    for _ in 0..4 {
        let decision = backend.decide(hits).await?;
        let outcome = decision.outcomes().first().ok_or("no outcome")?;
        let leaves = outcome.at.saturating_add(LimitStatus::new(&queue, RATE, outcome).delay());
        turns.push(decision.is_admitted().then_some((outcome.at, leaves)));
    }
    Ok(turns)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_get_distinct_turns() -> Result {
    for beside_own in [[false; 3], [false, true, true]] {
        let server = Server::start()?;
        let mut tasks = JoinSet::new();
        for is_beside_own in beside_own {
            let backend = builder(&server).connect().await?;
            for _ in 0..4 {
                tasks.spawn(take_turns(backend.clone(), is_beside_own));
            }
        }
        let mut turns: Vec<(Timestamp, Timestamp)> = Vec::new();
        while let Some(done) = tasks.join_next().await {
            turns.extend(done??.into_iter().flatten());
        }
        // In order of arrival.
        turns.sort();
        let (_, first) = *turns.first().ok_or("no request was admitted")?;
        let due = |turn: u64| Duration::from_micros((turn * RATE.period_micros()).div_ceil(RATE.limit()));
        let delays: Vec<_> = turns.iter().map(|(_, leaves)| leaves.saturating_since(first)).collect();
        assert_eq!(delays, (0..30).map(due).collect::<Vec<_>>(), "{beside_own:?}");
        assert_eq!(turns.first().map(|(came, leaves)| came == leaves), Some(true));
    }
    Ok(())
}

/// A refusal by the longest delay, as when one process holds its maximum and another does not.
#[tokio::test]
async fn refusal_of_a_request_that_may_not_wait_does_not_refuse_others() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let queue = LeakyBucketWithQueue::new().queue(5);
    let at_once = Client::new("alice", queue.max_delay(Duration::ZERO), "1/d")?;
    let patient = Client::new("alice", queue, "1/d")?;
    assert!(at_once.decide(&backend, 1).await?.admitted);
    for _ in 0..3 {
        assert!(!at_once.decide(&backend, 1).await?.admitted);
    }
    assert_eq!(backend.stats().refused_here, 2);
    for _ in 0..5 {
        assert!(patient.decide(&backend, 1).await?.admitted);
    }
    for _ in 0..3 {
        assert!(!patient.decide(&backend, 1).await?.admitted);
    }
    assert_eq!(backend.stats().refused_here, 4);
    Ok(())
}

throttles! {
    Shaped: "shaped", "20/s", Settings::new().strategy(LeakyBucketWithQueue::new().queue(11));
}

/// Acts like two processes, on their real clocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_on_one_server_hold_requests_an_interval_apart() -> Result {
    let server = Server::start()?;
    let mut apps = Vec::new();
    for _ in 0..2 {
        let backend = builder(&server).connect().await?;
        let traffik = Traffik::builder(backend).backend_timeout(PLENTY).build()?;
        apps.push(Router::new().route("/", get(|_: Throttled<Shaped>| async {})).layer(traffik.layer()));
    }
    let (start, began) = (Arc::new(Barrier::new(12)), Instant::now());
    let mut tasks = JoinSet::new();
    for app in apps.iter().cycle().take(12).cloned() {
        let start = start.clone();
        tasks.spawn(async move {
            start.wait().await;
            let request = Request::get("/").body(Body::empty())?.with_peer("203.0.113.7:1");
            let status = app.oneshot(request).await?.status();
            Result::Ok((status.as_u16(), began.elapsed()))
        });
    }
    let mut left = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (status, after) = done??;
        assert_eq!(status, 200);
        left.push(after);
    }
    left.sort();
    let interval = Duration::from_millis(50);
    for (turn, after) in (0..).zip(&left) {
        assert!(*after >= interval * turn, "number {turn} left after {after:?}");
    }
    // No request waits longer than the queue takes to empty, even on a busy machine.
    assert!(left.last().is_some_and(|last| *last < interval * 11 + PLENTY), "{left:?}");
    Ok(())
}
