use std::sync::atomic::{AtomicUsize, Ordering};

/// How many calls were handed to a client library, but for those that the server refused: each of them may run.
#[derive(Debug, Default)]
pub(crate) struct Sent(AtomicUsize);

impl Sent {
    pub(crate) fn may_run(&self) -> bool {
        self.0.load(Ordering::Acquire) > 0
    }

    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    /// One of them surely did not run.
    pub(super) fn take_back(&self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
