use std::sync::atomic::{AtomicU64, Ordering};

use super::Counts;
use crate::client::Health;

/// What became of the calls of a [`RedisBackend`](crate::RedisBackend) so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisStats {
    /// Calls, whatever came of them.
    pub calls: u64,
    /// Decisions that Redis was asked for. There are more of them than calls where several travelled in one.
    pub decisions: u64,
    /// Decisions that were refusals without asking Redis, since it had just refused the same.
    pub refused_here: u64,
    /// Decisions and other calls that had no answer within the deadline, those included that were not sent by then.
    pub timed_out: u64,
    /// Decisions and other calls that ran although whoever asked had stopped waiting: they are charged.
    pub late: u64,
    /// Decisions and other calls of which nobody knows whether they ran, since the connection was lost meanwhile.
    pub in_doubt: u64,
    /// Connections that were given up and made again because nothing came over them any more.
    pub given_up: u64,
    /// Connections that there should be.
    pub connections: usize,
    /// Connections that there are at the moment.
    pub connected: usize,
}

impl RedisStats {
    pub(crate) fn new(counts: &Counts, health: Health) -> Self {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Self {
            calls: read(&counts.calls),
            decisions: read(&counts.decisions),
            refused_here: read(&counts.refused_here),
            timed_out: read(&counts.timed_out),
            late: read(&counts.late),
            in_doubt: read(&counts.in_doubt),
            given_up: health.given_up,
            connections: health.connections,
            connected: health.connected,
        }
    }
}
