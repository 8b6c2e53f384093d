use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the calls handed to a client library that may run. Calls that the server rejected are not counted.
#[derive(Debug, Default)]
pub(crate) struct Sent(AtomicUsize);

impl Sent {
    pub(crate) fn may_run(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// Removes a call that certainly did not run.
    pub(super) fn take_back(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
