use traffik_core::clock::AnyClock;

use super::{CircuitBreaker, gate::Entry};

/// Permission for one attempt.
///
/// End it with [`succeeded`](Self::succeeded) or [`failed`](Self::failed). An attempt that is dropped, because its request
/// is cancelled for instance, counts as neither. If it was a trial, another attempt may take its place.
#[derive(Debug)]
#[must_use = "the breaker learns nothing from an attempt that is dropped"]
pub struct Attempt<'a> {
    breaker: &'a CircuitBreaker,
    clock: &'a AnyClock,
    /// `None` once the attempt has ended.
    entry: Option<Entry>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(breaker: &'a CircuitBreaker, clock: &'a AnyClock, entry: Entry) -> Self {
        Self { breaker, clock, entry: Some(entry) }
    }

    /// Reports a success.
    pub fn succeeded(self) {
        self.closes();
    }

    /// Reports a failure.
    pub fn failed(self) {
        self.opens();
    }

    /// Reports a success, and returns whether it closed the breaker.
    pub(crate) fn closes(mut self) -> bool {
        self.entry.take().is_some_and(|entry| self.breaker.gate().succeeded(entry, || self.clock.now()))
    }

    /// Reports a failure, and returns whether it opened the breaker.
    pub(crate) fn opens(mut self) -> bool {
        self.entry.take().is_some_and(|entry| self.breaker.gate().failed(entry, self.clock.now()))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.breaker.gate().dropped(entry);
        }
    }
}
