use super::{Count, Instruments};

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

impl Instruments {
    /// Returns all counts, together with the number of connections.
    pub(crate) fn stats(&self, connections: usize, connected: usize) -> RedisStats {
        RedisStats {
            calls: self.get(Count::Calls),
            decisions: self.get(Count::Decisions),
            refused_here: self.get(Count::RefusedHere),
            timed_out: self.get(Count::TimedOut),
            late: self.get(Count::Late),
            in_doubt: self.get(Count::InDoubt),
            given_up: self.get(Count::GivenUp),
            connections,
            connected,
        }
    }
}
