use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    client::{CallError, Health, OutageLog},
    instruments::{Count, Instruments},
};

/// Counts of the calls of a [`RedisBackend`](crate::RedisBackend) so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisStats {
    /// The number of calls, with any result.
    pub calls: u64,
    /// The number of decisions sent to Redis. One call may carry several decisions.
    pub decisions: u64,
    /// The number of decisions refused without a call, because Redis had just refused the same.
    pub refused_here: u64,
    /// The number of decisions and other calls without an answer within the deadline, including those that were never
    /// sent.
    pub timed_out: u64,
    /// The number of decisions and other calls that ran after their deadline. They are charged.
    pub late: u64,
    /// The number of decisions and other calls that may have run: the connection was lost before the answer.
    pub in_doubt: u64,
    /// The number of connections that were replaced because they no longer delivered answers.
    pub given_up: u64,
    /// The number of configured connections.
    pub connections: usize,
    /// The number of connections that are up.
    pub connected: usize,
}

#[derive(Debug)]
pub(crate) struct Counts {
    counts: [AtomicU64; Count::ALL],
    instruments: Arc<Instruments>,
    log: Mutex<OutageLog>,
}

impl Counts {
    pub(super) fn new(instruments: &Arc<Instruments>) -> Self {
        Self { counts: Default::default(), instruments: Arc::clone(instruments), log: Mutex::default() }
    }

    pub(crate) fn add(&self, count: Count, more: usize) {
        let add = more.try_into().unwrap_or(u64::MAX);
        if let Some(number) = self.counts.get(count as usize) {
            number.fetch_add(add, Ordering::Relaxed);
        }
        self.instruments.add(count, add);
        if matches!(count, Count::Late | Count::InDoubt) && more > 0 {
            self.log_unheard();
        }
    }

    /// Records that a call with several questions ended in an error.
    pub(super) fn failed(&self, error: &CallError, questions: usize) {
        if let CallError::InDoubt(_) = error {
            self.add(Count::InDoubt, questions);
        }
    }

    fn get(&self, count: Count) -> u64 {
        self.counts.get(count as usize).map_or(0, |number| number.load(Ordering::Relaxed))
    }

    /// Logs calls that ran late or may have run. The log treats each as an outage of its own.
    fn log_unheard(&self) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.is_first("unheard") && log.end() {
            tracing::warn!(
                late = self.get(Count::Late),
                in_doubt = self.get(Count::InDoubt),
                "Redis answered after the deadline, or its answer was lost: these requests may have been charged"
            );
        }
    }

    pub(super) fn stats(&self, health: Health) -> RedisStats {
        RedisStats {
            calls: self.get(Count::Calls),
            decisions: self.get(Count::Decisions),
            refused_here: self.get(Count::RefusedHere),
            timed_out: self.get(Count::TimedOut),
            late: self.get(Count::Late),
            in_doubt: self.get(Count::InDoubt),
            given_up: health.given_up,
            connections: health.connections,
            connected: health.connected,
        }
    }
}
