//! The results of calls.

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

/// A call, and the result that its caller received.
pub(crate) struct Call {
    pub(crate) ended: Instant,
    pub(crate) took: Duration,
    pub(crate) result: CallResult,
}

pub(crate) enum CallResult {
    /// Admitted, with the server's count after the charge, and the time on the server's clock.
    Admitted {
        number: u64,
        at: Timestamp,
    },
    TimedOut,
    Unavailable,
}

/// All callers charge one client without a limit, so that each admission has a distinct number.
impl Caller for RedisBackend {
    type Call = Call;

    async fn call(&mut self) -> Result<Call> {
        let asked = Instant::now();
        let result = match decide(self, "everybody", 1).await {
            Ok((number, at)) => CallResult::Admitted { number, at },
            Err(BackendError::Timeout(_)) => CallResult::TimedOut,
            Err(BackendError::Unavailable(_) | BackendError::NotRun(_)) => CallResult::Unavailable,
            Err(error) => return Err(error.into()),
        };
        Ok(Call { ended: Instant::now(), took: asked.elapsed(), result })
    }
}

/// Returns the number of charges so far.
pub(crate) async fn count(backend: &RedisBackend) -> Result<u64> {
    Ok(decide(backend, "everybody", 0).await?.0)
}

/// Starts decisions about another client. Each is polled once.
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
