//! Callers that go on calling, whatever they are told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use traffik_redis::RedisBackend;

use crate::{
    Result,
    calls::{Call, call},
};

const CALLERS: usize = 32;

/// How often each calls, unless it still waits.
const EVERY: Duration = Duration::from_millis(10);

/// Long after everybody should have heard.
const HANGS_AFTER: Duration = Duration::from_secs(10);

pub(crate) struct Load {
    callers: JoinSet<Result<Vec<Call>>>,
    is_over: Arc<AtomicBool>,
}

impl Load {
    pub(crate) fn begin(backend: &RedisBackend) -> Self {
        let (mut callers, is_over) = (JoinSet::new(), Arc::<AtomicBool>::default());
        for _ in 0..CALLERS {
            callers.spawn(go_on(backend.clone(), Arc::clone(&is_over)));
        }
        Self { callers, is_over }
    }

    /// All calls, in no order. That one hangs is an error.
    pub(crate) async fn end(mut self) -> Result<Vec<Call>> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        while let Some(calls) = timeout(HANGS_AFTER, self.callers.join_next()).await.map_err(|_| "a caller hangs")? {
            all.extend(calls??);
        }
        Ok(all)
    }
}

async fn go_on(backend: RedisBackend, is_over: Arc<AtomicBool>) -> Result<Vec<Call>> {
    let (mut calls, mut ticks) = (Vec::new(), interval(EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        calls.push(call(&backend).await?);
    }
    Ok(calls)
}
