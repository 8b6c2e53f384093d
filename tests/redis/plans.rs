//! Clients whose rates change with a function of the request, while Redis keeps their counts.

use axum::{Router, body::Body, http::Request, routing::get};
use tower::ServiceExt;
use traffik::{
    Client, DefaultIdentity, Rate, Settings, Throttle, Throttled, Traffik,
    strategy::{FixedWindow, Gcra, LeakyBucket, SlidingWindowCounter, SlidingWindowLog, TokenBucket},
};

use crate::{Result, builder, server::Server};

fn planned() -> Settings {
    let header = |parts: &axum::http::request::Parts, name: &str| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    Settings::new()
        .identity(move |parts| Client::from(header(parts, "x-user").unwrap_or_default()))
        .cost_of(move |parts| header(parts, "x-cost").and_then(|cost| cost.parse().ok()).unwrap_or(1))
        .rate_of(move |parts, _| header(parts, "x-plan").and_then(|rate| rate.parse().ok()).unwrap_or(Rate::UNLIMITED))
}

throttles! {
    InFixedWindow: "plans:fixed-window", "1/s", planned().strategy(FixedWindow);
    InSlidingWindow: "plans:sliding-window", "1/s", planned().strategy(SlidingWindowCounter);
    InLog: "plans:log", "1/s", planned().strategy(SlidingWindowLog);
    InTokenBucket: "plans:token-bucket", "1/s", planned().strategy(TokenBucket::new());
    InLeakyBucket: "plans:leaky-bucket", "1/s", planned().strategy(LeakyBucket::new());
    InGcra: "plans:gcra", "1/s", planned().strategy(Gcra::new().burst(5));
}

/// Requests with a user, a plan and a cost, and returns the status and the remaining amount.
async fn send(app: &Router, user: &str, plan: &str, cost: u64) -> Result<(u16, String)> {
    let request = Request::get("/").header("x-user", user).header("x-plan", plan).header("x-cost", cost);
    let response = app.clone().oneshot(request.body(Body::empty())?).await?;
    let state = response.headers().get("ratelimit").map(|state| state.to_str()).transpose()?.unwrap_or_default();
    let remaining = state.split(';').find_map(|part| part.strip_prefix("r=")).unwrap_or_default().to_owned();
    Ok((response.status().as_u16(), remaining))
}

async fn status(app: &Router, user: &str, plan: &str) -> Result<u16> {
    Ok(send(app, user, plan, 1).await?.0)
}

/// Uses up a plan, then changes it: in this process, which caches the refusal, and in another one.
async fn change<T: Throttle<Identity = DefaultIdentity>>(server: &Server) -> Result {
    let (here, there) = (builder(server).connect().await?, builder(server).connect().await?);
    let app = |traffik: Traffik| Router::new().route("/", get(|_: Throttled<T>| async {})).layer(traffik.layer());
    let (app, other_app) = (app(Traffik::new(here.clone())?), app(Traffik::new(there)?));
    // A burst keeps its size, whatever the limit.
    let grows = T::UID != "plans:gcra";

    for (user, other) in
        [("ann", "5/hour"), ("bob", "5/20d"), ("cid", "3/10d"), ("dan", "1/30d"), ("eve", "8/10d"), ("fay", "8/day")]
    {
        for left in (0..5).rev() {
            assert_eq!(send(&app, user, "5/10d", 1).await?, (200, left.to_string()), "{} {user}", T::UID);
        }
        for _ in 0..3 {
            assert_eq!(status(&app, user, "5/10d").await?, 429, "{} {user}", T::UID);
        }
        // An upgrade applies immediately, although this process has a cached refusal.
        let more = if grows && other.starts_with('8') { 3 } else { 0 };
        for _ in 0..more {
            assert_eq!(status(&app, user, other).await?, 200, "{} {other}", T::UID);
        }
        for app in [&app, &other_app] {
            assert_eq!(status(app, user, other).await?, 429, "{} {other}", T::UID);
            assert_eq!(status(app, user, "5/10d").await?, 429, "{} {other}", T::UID);
        }
        assert_eq!(status(&app, user, "0/0").await?, 200, "an unlimited client makes no call");
    }
    assert!(here.stats().refused_here > 0, "some refusals came from the cache");
    Ok(())
}

#[tokio::test]
async fn change_of_plan_keeps_the_count() -> Result {
    let server = Server::start()?;
    change::<InFixedWindow>(&server).await?;
    change::<InSlidingWindow>(&server).await?;
    change::<InLog>(&server).await?;
    change::<InTokenBucket>(&server).await?;
    change::<InLeakyBucket>(&server).await?;
    change::<InGcra>(&server).await
}

#[tokio::test]
async fn costs_of_any_size_are_decided_as_in_memory() -> Result {
    let server = Server::start()?;
    let traffik = Traffik::new(builder(&server).connect().await?)?;
    let app = Router::new().route("/", get(|_: Throttled<InTokenBucket>| async {})).layer(traffik.layer());
    for cost in [11, u64::from(u32::MAX), 1 << 53, (1 << 53) + 1, u64::MAX] {
        assert_eq!(send(&app, "ann", "10/10d", cost).await?, (429, "10".to_owned()), "{cost}");
    }
    for (cost, expected) in [(4, (200, "6")), (7, (429, "6")), (0, (200, "")), (6, (200, "0")), (1, (429, "0"))] {
        let (status, remaining) = send(&app, "ann", "10/10d", cost).await?;
        assert_eq!((status, remaining.as_str()), expected, "{cost}");
    }
    Ok(())
}
