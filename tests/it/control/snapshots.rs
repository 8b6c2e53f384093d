//! No decision is made by half of a change.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
};

use axum::{Router, http::request::Parts, routing::get};
use futures_util::FutureExt;
use tokio::sync::Semaphore;
use traffik::{Settings, Throttled, control::Change};

use super::{Result, knowing};
use crate::http::{app::throttle, server::Server};

throttle!(First, "snapshots:first", "1000000/hour");
throttle!(Second, "snapshots:second", "1000000/hour");
throttle!(Slow, "snapshots:slow", "1000000/hour", Settings::new().async_cost_of(slow));

/// Waits until the test goes on.
#[derive(Clone)]
struct Gate(Arc<Semaphore>, Arc<Semaphore>);

async fn slow(parts: &Parts) -> u64 {
    if let Some(Gate(arrived, go)) = parts.extensions.get() {
        arrived.add_permits(1);
        let _ = go.acquire().await;
    }
    1
}

#[test]
fn threads_see_all_of_a_change_or_nothing() -> Result {
    let (traffik, _) = knowing::<First>()?;
    let first = traffik.limit("snapshots:first")?;
    let (small, large) =
        (Change::new().rate("1000000/hour".parse()?).cost(1), Change::new().rate("2000000/hour".parse()?).cost(2));
    first.apply(small.clone())?;
    let (stops, traffik) = (AtomicBool::new(false), &traffik);
    thread::scope(|scope| {
        let checks: Vec<_> = (0..3_u64)
            .map(|client| {
                let stops = &stops;
                scope.spawn(move || {
                    let mut seen = [0_u64; 2];
                    while !stops.load(SeqCst) {
                        let limits = traffik.limiter::<(First, Second)>(client).peek().now_or_never()?.ok()?;
                        let (first, second) = (limits.of::<First>()?, limits.of::<Second>()?);
                        let millions = first.rate().limit() / 1_000_000;
                        // Both are on or off. If they are on, the cost goes with the rate.
                        let is_whole = if first.is_counted() { first.cost() == millions } else { millions == 1 };
                        if first.is_counted() != second.is_counted() || !is_whole {
                            return None;
                        }
                        seen[usize::from(first.is_counted())] += 1;
                    }
                    Some(seen)
                })
            })
            .collect();
        for _ in 0..500 {
            first.apply(large.clone())?;
            first.apply(small.clone())?;
            traffik.disable_all();
            traffik.enable_all();
        }
        stops.store(true, SeqCst);
        for check in checks {
            let seen = check.join().map_err(|_| "a panic")?.ok_or("half of a change")?;
            assert!(seen.iter().sum::<u64>() > 0);
        }
        Ok(())
    })
}

#[tokio::test]
async fn request_that_waits_for_a_function_is_decided_by_the_changes_of_its_start() -> Result {
    let (traffik, _) = knowing::<Slow>()?;
    let gate = Gate(Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let app = Router::new()
        .route("/", get(|_: Throttled<(Slow, Second)>| async {}))
        .layer(axum::Extension(gate.clone()))
        .layer(traffik.layer());
    let server = Server::start(app).await;
    let request = tokio::spawn(async move { (server.get("/").await, server) });
    gate.0.acquire().await?.forget();
    traffik.disable_all();
    gate.1.add_permits(2);
    let (reply, server) = request.await?;
    let uids = |state: Option<&str>| state.map_or(0, |state| state.split(',').count());
    assert_eq!(uids(reply.state()), 2, "both as they were when the request came");
    assert_eq!(server.get("/").await.state(), None);
    Ok(())
}
