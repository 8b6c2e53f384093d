use std::time::Duration;

use crate::{
    backend::{BackendError, within},
    clock::{AnyClock, Timestamp},
};

/// The time that a request may wait for a decision, whoever makes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget<'a> {
    pub(super) clock: &'a AnyClock,
    end: Timestamp,
}

impl<'a> Budget<'a> {
    pub(super) fn new(clock: &'a AnyClock, whole: Duration) -> Self {
        Self { clock, end: clock.now().saturating_add(whole) }
    }

    /// The part of it that leaves a quarter to whoever is asked later.
    pub(super) fn but_a_quarter(self) -> Self {
        Self::new(self.clock, self.left() / 4 * 3)
    }

    /// The part of it for whoever is asked first, and must not keep others from being asked.
    pub(super) fn a_quarter(self) -> Self {
        Self::new(self.clock, self.left() / 4)
    }

    pub(super) fn left(&self) -> Duration {
        self.end.saturating_since(self.clock.now())
    }

    /// A call that ends with it.
    pub(super) async fn hold<T>(&self, call: impl Future<Output = Result<T, BackendError>>) -> Result<T, BackendError> {
        within(self.clock, self.left(), call).await
    }
}
