//! What came of the calls.

use std::{
    future::poll_fn,
    task::Poll,
    time::{Duration, Instant},
};

use traffik::{
    Rate,
    backend::{Backend, BackendError},
    client::Key,
    clock::Timestamp,
    decision::{Hit, LimitId},
    strategy::FixedWindow,
};
use traffik_redis::RedisBackend;

use crate::{Result, load::Caller};

/// A call, and what its caller was told.
pub(crate) struct Call {
    pub(crate) ended: Instant,
    pub(crate) took: Duration,
    pub(crate) told: Told,
}

pub(crate) enum Told {
    /// It was charged, as the so many-th by the server's count, at a time by the server's clock.
    Admitted {
        number: u64,
        at: Timestamp,
    },
    TimedOut,
    Unavailable,
}

/// Everybody counts in one place that never fills up, so that each admission has a number of its own.
impl Caller for RedisBackend {
    type Call = Call;

    async fn call(&mut self) -> Result<Call> {
        let asked = Instant::now();
        let told = match decide(self, "everybody", 1).await {
            Ok((number, at)) => Told::Admitted { number, at },
            Err(BackendError::Timeout(_)) => Told::TimedOut,
            Err(BackendError::Unavailable(_) | BackendError::NotRun(_)) => Told::Unavailable,
            Err(error) => return Err(error.into()),
        };
        Ok(Call { ended: Instant::now(), took: asked.elapsed(), told })
    }
}

/// How many were charged by now.
pub(crate) async fn count(backend: &RedisBackend) -> Result<u64> {
    Ok(decide(backend, "everybody", 0).await?.0)
}

/// Decisions about another client, each of which is polled once.
pub(crate) async fn kept(backend: &RedisBackend, count: usize) -> Vec<impl Future + use<>> {
    let mut kept = Vec::with_capacity(count);
    for _ in 0..count {
        let backend = backend.clone();
        let mut decision = Box::pin(async move { decide(&backend, "kept", 1).await });
        poll_fn(|context| {
            let _ = decision.as_mut().poll(context);
            Poll::Ready(())
        })
        .await;
        kept.push(decision);
    }
    kept
}

async fn decide(
    backend: &RedisBackend,
    client: &'static str,
    cost: u64,
) -> std::result::Result<(u64, Timestamp), BackendError> {
    let (key, limit) = (Key::from(client), LimitId::new("faults", FixedWindow));
    let hit = Hit::new(&limit, &key, Rate::literal("1000000000/30d"), cost);
    let decision = backend.decide(&[hit]).await?;
    let outcome = decision.outcomes().first().ok_or_else(|| BackendError::unavailable("no outcome"))?;
    let [_, used] = outcome.past.as_ref().map_or([0, 0], |past| past.state.words());
    Ok((used, outcome.at))
}
