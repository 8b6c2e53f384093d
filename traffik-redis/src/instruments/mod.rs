//! Counts calls and connections, for [`RedisBackend::stats`](crate::RedisBackend::stats), for metrics and for the log.

#[cfg(feature = "metrics")]
mod metrics;
mod outage_log;
#[cfg(feature = "metrics")]
mod table;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

pub(crate) use self::outage_log::OutageLog;
use crate::lock::lock;

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

/// A counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Calls,
    Decisions,
    RefusedHere,
    TimedOut,
    Late,
    InDoubt,
    GivenUp,
}

impl Count {
    /// The number of counters.
    const ALL: usize = Self::GivenUp as usize + 1;
}

/// The counts of a backend.
#[derive(Debug)]
pub(crate) struct Counts {
    counts: [AtomicU64; Count::ALL],
    log: Mutex<OutageLog>,
    #[cfg(feature = "metrics")]
    metrics: metrics::Metrics,
}

#[cfg_attr(not(feature = "metrics"), allow(unused_variables, clippy::unused_self, reason = "only metrics use them"))]
impl Counts {
    pub(crate) fn new(namespace: &str) -> Arc<Self> {
        Arc::new(Self {
            counts: Default::default(),
            log: Mutex::default(),
            #[cfg(feature = "metrics")]
            metrics: metrics::Metrics::new(namespace),
        })
    }

    pub(crate) fn add(&self, count: Count, more: usize) {
        let add = more.try_into().unwrap_or(u64::MAX);
        if let Some(number) = self.counts.get(count as usize) {
            number.fetch_add(add, Ordering::Relaxed);
        }
        #[cfg(feature = "metrics")]
        self.metrics.add(count, add);
        if matches!(count, Count::Late | Count::InDoubt) && more > 0 {
            self.log_unheard();
        }
    }

    /// Counts a connection that is up until its driver ends or is dropped.
    pub(crate) async fn connected<T>(&self, driver: impl Future<Output = T>) -> T {
        #[cfg(feature = "metrics")]
        let _up = self.metrics.connected();
        driver.await
    }

    /// Shows no connections: the user keeps them.
    pub(crate) fn leave_connections_to_user(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.leave_connections_to_user();
    }

    /// Logs calls that ran late or may have run. The log treats each as an outage of its own.
    fn log_unheard(&self) {
        let mut log = lock(&self.log);
        if log.is_first("unheard") && log.end() {
            let RedisStats { late, in_doubt, .. } = self.stats();
            tracing::warn!(
                late,
                in_doubt,
                "Redis answered after the deadline, or its answer was lost: these requests may have been charged"
            );
        }
    }

    /// Returns all counts. Those of configured connections are 0.
    pub(crate) fn stats(&self) -> RedisStats {
        let [calls, decisions, refused_here, timed_out, late, in_doubt, given_up] =
            self.counts.each_ref().map(|number| number.load(Ordering::Relaxed));
        RedisStats { calls, decisions, refused_here, timed_out, late, in_doubt, given_up, ..RedisStats::default() }
    }
}
