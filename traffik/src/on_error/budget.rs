use std::time::Duration;

use traffik_core::{
    backend::BackendError,
    clock::{AnyClock, Timestamp},
};

use crate::store::within;

/// The time that a request may wait for a decision, whoever makes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget<'a> {
    pub(super) clock: &'a AnyClock,
    end: Timestamp,
    whole: Duration,
}

impl<'a> Budget<'a> {
    pub(super) fn new(clock: &'a AnyClock, whole: Duration) -> Self {
        Self { clock, end: clock.now().saturating_add(whole), whole }
    }

    /// The part of it that leaves a quarter to whoever is asked later.
    pub(super) fn but_a_quarter(self) -> Self {
        Self::new(self.clock, self.left() / 4 * 3)
    }

    /// The part of it for whoever is asked first, and must not keep others from being asked.
    pub(super) fn a_quarter(self) -> Self {
        Self::new(self.clock, self.left() / 4)
    }

    /// Never more than all of it: a clock that goes back makes nobody wait longer.
    pub(super) fn left(&self) -> Duration {
        self.end.saturating_since(self.clock.now()).min(self.whole)
    }

    /// A call that ends with it.
    pub(super) async fn hold<T>(
        &self,
        call: impl IntoFuture<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        within(self.clock, self.left(), call).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use traffik_core::clock::{Clock, ManualClock};

    #[test]
    fn a_clock_that_goes_back_leaves_no_more_than_there_was() {
        let (manual, whole) = (ManualClock::new(), Duration::from_millis(100));
        let start = manual.now();
        manual.advance(Duration::from_secs(3600));
        let clock = AnyClock::new(manual.clone());
        let budget = Budget::new(&clock, whole);
        manual.advance(whole / 4);
        assert_eq!(budget.left(), whole / 4 * 3);
        manual.set(start);
        assert_eq!(budget.left(), whole);
    }
}
