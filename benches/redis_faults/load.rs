//! Callers that make calls continuously, whatever the results are.

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

use crate::Result;

pub(crate) const CALLERS: usize = 32;

/// The pause between the calls of a caller.
const EVERY: Duration = Duration::from_millis(10);

/// The time after which a call hangs.
const HANGS_AFTER: Duration = Duration::from_secs(10);

/// A caller.
pub(crate) trait Caller: Send + 'static {
    /// A call and its result.
    type Call: Send + 'static;

    fn call(&mut self) -> impl Future<Output = Result<Self::Call>> + Send;
}

pub(crate) struct Load<C> {
    callers: JoinSet<Result<Vec<C>>>,
    is_over: Arc<AtomicBool>,
}

impl<C: Send + 'static> Load<C> {
    pub(crate) fn begin(all: impl IntoIterator<Item = impl Caller<Call = C>>) -> Self {
        let (mut callers, is_over) = (JoinSet::new(), Arc::<AtomicBool>::default());
        for caller in all {
            callers.spawn(go_on(caller, Arc::clone(&is_over)));
        }
        Self { callers, is_over }
    }

    /// Returns all calls, in no order. Returns an error if a call hangs.
    pub(crate) async fn end(mut self) -> Result<Vec<C>> {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        while let Some(calls) = timeout(HANGS_AFTER, self.callers.join_next()).await.map_err(|_| "a caller hangs")? {
            all.extend(calls??);
        }
        Ok(all)
    }
}

async fn go_on<C: Caller>(mut caller: C, is_over: Arc<AtomicBool>) -> Result<Vec<C::Call>> {
    let (mut calls, mut ticks) = (Vec::new(), interval(EVERY));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !is_over.load(Ordering::Relaxed) {
        ticks.tick().await;
        calls.push(caller.call().await?);
    }
    Ok(calls)
}
