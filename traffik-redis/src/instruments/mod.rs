//! Metrics. Without the feature `metrics` nothing here does anything.

#[cfg(feature = "metrics")]
mod register;
#[cfg(feature = "metrics")]
mod table;

use std::sync::Arc;
#[cfg(feature = "metrics")]
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

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

/// The instruments of a backend. They are registered at its first call, so an app may install its recorder after it has
/// connected.
#[derive(Debug)]
pub(crate) struct Instruments {
    #[cfg(feature = "metrics")]
    namespace: Box<str>,
    #[cfg(feature = "metrics")]
    counters: OnceLock<[metrics::Counter; Count::ALL]>,
    #[cfg(feature = "metrics")]
    connections: Mutex<Connections>,
}

#[cfg(feature = "metrics")]
#[derive(Debug, Default)]
struct Connections {
    up: u32,
    /// Whether the user keeps them, so that nothing is known of them.
    are_users: bool,
    gauge: Option<metrics::Gauge>,
}

/// A connection that is up, until it is dropped.
#[derive(Debug)]
pub(crate) struct Up(#[cfg(feature = "metrics")] Arc<Instruments>);

#[cfg_attr(not(feature = "metrics"), allow(unused_variables, clippy::unused_self, reason = "it has no instruments"))]
impl Instruments {
    pub(crate) fn new(namespace: &str) -> Arc<Self> {
        Arc::new(Self {
            #[cfg(feature = "metrics")]
            namespace: namespace.into(),
            #[cfg(feature = "metrics")]
            counters: OnceLock::new(),
            #[cfg(feature = "metrics")]
            connections: Mutex::default(),
        })
    }

    #[inline]
    pub(crate) fn add(&self, count: Count, more: u64) {
        #[cfg(feature = "metrics")]
        if let Some(counter) = self.counters.get_or_init(|| self.register()).get(count as usize) {
            counter.increment(more);
        }
    }

    /// Counts a connection that is up until the returned value is dropped.
    pub(crate) fn connected(self: &Arc<Self>) -> Up {
        #[cfg(feature = "metrics")]
        self.connections().change(true);
        Up(
            #[cfg(feature = "metrics")]
            Arc::clone(self),
        )
    }

    /// Shows no connections: the user keeps them.
    #[cfg(feature = "fred-10")]
    pub(crate) fn leave_connections_to_user(&self) {
        #[cfg(feature = "metrics")]
        {
            self.connections().are_users = true;
        }
    }

    #[cfg(feature = "metrics")]
    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "metrics")]
impl Connections {
    fn change(&mut self, is_up: bool) {
        self.up = if is_up { self.up.saturating_add(1) } else { self.up.saturating_sub(1) };
        if let Some(gauge) = &self.gauge {
            gauge.increment(if is_up { 1.0 } else { -1.0 });
        }
    }
}

#[cfg(feature = "metrics")]
impl Drop for Up {
    fn drop(&mut self) {
        self.0.connections().change(false);
    }
}
