//! How the server is asked: by tasks, within a deadline, a few calls at a time, and for several callers together where they
//! would have to wait anyway.
//!
//! What callers share, a call in flight or a place among the others, is held by a task and never by a caller.

mod batcher;
mod caller;
mod exchange;
mod in_flight;
mod queue;
mod runner;
mod stats;
mod tasks;

pub use self::stats::RedisStats;
pub(crate) use self::{
    caller::TimedReply,
    exchange::Exchange,
    runner::Calls,
    stats::{Count, Counts},
};
