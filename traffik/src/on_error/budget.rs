use std::time::Duration;

use traffik_core::{
    backend::BackendError,
    clock::{AnyClock, Timestamp},
};

use crate::store::within;

/// The time that a request may wait for its decision, in whichever backend.
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

    /// Returns three quarters of what is left. The rest is for the fallback or the function that is asked next.
    pub(super) fn but_a_quarter(self) -> Self {
        Self::new(self.clock, self.left() / 4 * 3)
    }

    /// Returns a quarter of what is left.
    pub(super) fn a_quarter(self) -> Self {
        Self::new(self.clock, self.left() / 4)
    }

    /// Returns what is left: at most all of it, also if the clock goes back.
    pub(super) fn left(&self) -> Duration {
        self.end.saturating_since(self.clock.now()).min(self.whole)
    }

    /// Waits for `call`, but no longer than the time that is left.
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
    fn clock_that_goes_back_leaves_no_more_than_the_whole() {
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
