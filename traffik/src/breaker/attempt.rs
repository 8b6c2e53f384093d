use super::{CircuitBreaker, gate::Entry};
use crate::clock::AnyClock;

/// Leave to try what may fail.
///
/// What came of it is told by [`succeeded`](Self::succeeded) or [`failed`](Self::failed). One that is dropped, as when the
/// request that it belongs to is cancelled, tells nothing: if it was a trial, another request may make it.
#[derive(Debug)]
#[must_use = "dropped, it tells the breaker nothing"]
pub struct Attempt<'a> {
    breaker: &'a CircuitBreaker,
    clock: &'a AnyClock,
    /// Nothing, once it is told what came of it.
    entry: Option<Entry>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(breaker: &'a CircuitBreaker, clock: &'a AnyClock, entry: Entry) -> Self {
        Self { breaker, clock, entry: Some(entry) }
    }

    /// It worked.
    pub fn succeeded(self) {
        self.closes();
    }

    /// It failed.
    pub fn failed(self) {
        self.opens();
    }

    /// It worked. Whether the breaker closed by that.
    pub(crate) fn closes(mut self) -> bool {
        self.entry.take().is_some_and(|entry| self.breaker.gate().succeeded(entry))
    }

    /// It failed. Whether the breaker opened by that.
    pub(crate) fn opens(mut self) -> bool {
        self.entry.take().is_some_and(|entry| self.breaker.gate().failed(entry, self.clock.now()))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.breaker.gate().left(entry);
        }
    }
}
