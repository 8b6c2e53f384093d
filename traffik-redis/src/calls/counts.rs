use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::client::CallError;

/// How often it is said in the log that calls are lost or late.
const SAID_EVERY: Duration = Duration::from_secs(10);

/// What became of calls so far.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(super) calls: AtomicU64,
    pub(super) decisions: AtomicU64,
    pub(super) refused_here: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) in_doubt: AtomicU64,
    /// When it was last said that there are such.
    said: Mutex<Option<Instant>>,
}

impl Counts {
    pub(super) fn called(&self) {
        add(&self.calls, 1);
    }

    pub(crate) fn decided(&self, decisions: usize) {
        add(&self.decisions, decisions);
    }

    pub(crate) fn refused_here(&self) {
        add(&self.refused_here, 1);
    }

    pub(super) fn timed_out(&self, questions: usize) {
        add(&self.timed_out, questions);
    }

    /// Something was asked for callers who had stopped waiting for it.
    pub(super) fn late(&self, questions: usize) {
        if questions > 0 {
            add(&self.late, questions);
            self.say();
        }
    }

    /// A call about so many questions ended, in an error perhaps.
    pub(super) fn ended(&self, error: Option<&CallError>, questions: usize) {
        if let (Some(CallError::InDoubt(_)), 1..) = (error, questions) {
            add(&self.in_doubt, questions);
            self.say();
        }
    }

    /// Says what ran late or may have run, unless that was said a moment ago.
    fn say(&self) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() >= SAID_EVERY) {
            *said = Some(Instant::now());
            tracing::warn!(
                late = self.late.load(Ordering::Relaxed),
                in_doubt = self.in_doubt.load(Ordering::Relaxed),
                "Redis decided after the deadline, or perhaps: those requests may have been charged all the same"
            );
        }
    }
}

fn add(count: &AtomicU64, more: usize) {
    count.fetch_add(more.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
}
