//! Counts calls and connections, for the stats of a backend and, with the feature `metrics`, for metrics.

#[cfg(feature = "metrics")]
mod metrics;
mod outage_log;
mod stats;
#[cfg(feature = "metrics")]
mod table;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

pub(crate) use self::outage_log::OutageLog;
pub use self::stats::RedisStats;

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
    pub(crate) const ALL: usize = Self::GivenUp as usize + 1;
}

/// The instruments of a backend.
#[derive(Debug)]
pub(crate) struct Instruments {
    counts: [AtomicU64; Count::ALL],
    log: Mutex<OutageLog>,
    #[cfg(feature = "metrics")]
    metrics: metrics::Metrics,
}

/// A connection that is up, until it is dropped.
#[derive(Debug)]
pub(crate) struct Up(Arc<Instruments>);

#[cfg_attr(not(feature = "metrics"), allow(unused_variables, clippy::unused_self, reason = "it has no metrics"))]
impl Instruments {
    pub(crate) fn new(namespace: &str) -> Arc<Self> {
        Arc::new(Self {
            counts: Default::default(),
            log: Mutex::default(),
            #[cfg(feature = "metrics")]
            metrics: metrics::Metrics::new(namespace),
        })
    }

    #[inline]
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

    /// Counts a connection that is up until the returned value is dropped.
    pub(crate) fn connected(self: &Arc<Self>) -> Up {
        self.change_connections(true);
        Up(Arc::clone(self))
    }

    fn change_connections(&self, is_up: bool) {
        #[cfg(feature = "metrics")]
        self.metrics.connections().change(is_up);
    }

    /// Shows no connections: the user keeps them.
    #[cfg(feature = "fred-10")]
    pub(crate) fn leave_connections_to_user(&self) {
        #[cfg(feature = "metrics")]
        self.metrics.connections().leave_to_user();
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.0.change_connections(false);
    }
}
