//! Calls the server: from tasks, within a deadline, a few calls at a time. Decisions that have to wait anyway share a
//! call.
//!
//! Shared resources, such as a call in flight or a slot in the queue, are held by tasks and never by callers.

mod batcher;
mod caller;
mod runner;
mod tasks;

pub(crate) use self::{
    caller::{Exchange, TimedReply},
    runner::Calls,
};
