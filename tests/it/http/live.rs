//! Rates, costs and whole limits that change while the app runs, through functions that read shared values.

use std::{
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::Request, routing::get};
use traffik::{
    Client, DefaultIdentity, Rate, Rule, Settings, Throttle, Throttled,
    strategy::{FixedWindow, Gcra, LeakyBucket, SlidingWindowCounter, SlidingWindowLog, TokenBucket},
};

use super::{
    app::{throttle, traffik},
    server::{Reply, Server},
};

static RATE: RwLock<Rate> = RwLock::new(FIVE);
static COST: AtomicU64 = AtomicU64::new(1);
static IS_ON: AtomicBool = AtomicBool::new(true);

const THREE: Rate = Rate::literal("3/min");
const FIVE: Rate = Rate::literal("5/min");
const EIGHT: Rate = Rate::literal("8/min");

fn set(rate: Rate) {
    *RATE.write().unwrap_or_else(PoisonError::into_inner) = rate;
}

fn live() -> Settings {
    Settings::new()
        .identity(|parts| {
            let user = parts.headers.get("x-user").and_then(|user| user.to_str().ok());
            Client::from(user.unwrap_or_default().to_owned())
        })
        .rule(Rule::when(|_| IS_ON.load(Ordering::SeqCst)))
        .cost_of(|_| COST.load(Ordering::SeqCst))
        .rate_of(|_, _| *RATE.read().unwrap_or_else(PoisonError::into_inner))
}

throttle!(InFixedWindow, "fixed-window", "1/s", live().strategy(FixedWindow));
throttle!(InSlidingWindow, "sliding-window", "1/s", live().strategy(SlidingWindowCounter));
throttle!(InLog, "sliding-log", "1/s", live().strategy(SlidingWindowLog));
throttle!(InTokenBucket, "token-bucket", "1/s", live().strategy(TokenBucket::new()));
throttle!(InLeakyBucket, "leaky-bucket", "1/s", live().strategy(LeakyBucket::new()));
throttle!(InGcra, "gcra", "1/s", live().strategy(Gcra::new().burst(5)));

async fn send(server: &Server, user: &'static str) -> Reply {
    server.send(Request::get("/").header("x-user", user), "").await
}

/// Uses up five requests in a minute and stays limited through every change, except for what a higher limit adds.
async fn change<T: Throttle<Identity = DefaultIdentity>>() {
    set(FIVE);
    let (traffik, clock) = traffik();
    let server = Server::start(Router::new().route("/", get(|_: Throttled<T>| async {})).layer(traffik.layer())).await;
    let of = T::UID;
    for user in ["ann", "bob"] {
        for _ in 0..5 {
            assert_eq!(send(&server, user).await.status, 200, "{of}");
        }
        assert_eq!(send(&server, user).await.status, 429, "{of}");
    }

    set(THREE);
    let lowered = send(&server, "ann").await;
    // A burst keeps its size, whatever the limit.
    let policy = if of == "gcra" { "q=5;w=100" } else { "q=3;w=60" };
    assert_eq!((lowered.status, lowered.policy()), (429, Some(&*format!("{of:?};{policy}"))), "{of}");

    set(EIGHT);
    let more = if of == "gcra" { 0 } else { 3 };
    for _ in 0..more {
        assert_eq!(send(&server, "ann").await.status, 200, "{of}");
    }
    assert_eq!(send(&server, "ann").await.status, 429, "{of}");
    set(FIVE);
    assert_eq!(send(&server, "ann").await.status, 429, "{of}");

    // A throttle that is free or off counts nothing and forgets nothing.
    COST.store(0, Ordering::SeqCst);
    let free = send(&server, "ann").await;
    assert_eq!((free.status, free.state()), (200, None), "{of}");
    COST.store(1, Ordering::SeqCst);
    IS_ON.store(false, Ordering::SeqCst);
    let off = send(&server, "ann").await;
    assert_eq!((off.status, off.state()), (200, None), "{of}");
    IS_ON.store(true, Ordering::SeqCst);
    assert_eq!(send(&server, "ann").await.status, 429, "{of}");

    // `Retry-After` under the lowered rate is exact.
    set(THREE);
    let refused = send(&server, "bob").await;
    let wait: u64 = refused.retry_after().and_then(|wait| wait.parse().ok()).unwrap_or_default();
    assert!(wait > 0, "{of}");
    clock.advance(Duration::from_secs(wait - 1));
    assert_eq!(send(&server, "bob").await.status, 429, "{of}, {wait}");
    clock.advance(Duration::from_secs(1));
    assert_eq!(send(&server, "bob").await.status, 200, "{of}, {wait}");

    // After the wait, a request at a higher cost takes that cost.
    clock.advance(Duration::from_secs(600));
    set(FIVE);
    COST.store(2, Ordering::SeqCst);
    let dear = send(&server, "ann").await;
    assert!(dear.state().is_some_and(|state| state.contains(";r=3;")), "{of}: {dear:?}");
    COST.store(1, Ordering::SeqCst);
}

#[tokio::test]
async fn change_of_a_rate_or_cost_applies_immediately_and_keeps_the_count() {
    change::<InFixedWindow>().await;
    change::<InSlidingWindow>().await;
    change::<InLog>().await;
    change::<InTokenBucket>().await;
    change::<InLeakyBucket>().await;
    change::<InGcra>().await;
}
