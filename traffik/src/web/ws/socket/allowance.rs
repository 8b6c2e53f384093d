use std::time::Duration;

use traffik_core::{
    clock::Timestamp,
    rate::Rate,
    strategy::{AnyStrategy, StoredState, Strategy, StrategyError, TokenBucket},
};

/// Limits how often the socket does something for its client, whatever the throttles.
#[derive(Debug)]
pub(super) struct Allowance {
    strategy: AnyStrategy,
    rate: Rate,
    past: Option<StoredState>,
}

impl Allowance {
    pub(super) fn new(bucket: TokenBucket, rate: Rate) -> Self {
        Self { strategy: bucket.into(), rate, past: None }
    }

    pub(super) fn check(&self) -> Result<(), StrategyError> {
        if self.rate.is_unlimited() { Ok(()) } else { self.strategy.check(self.rate) }
    }

    /// Takes one.
    ///
    /// # Errors
    ///
    /// Returns how long until one is available.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<(), Duration> {
        let verdict = self.strategy.decide(self.past.take(), self.rate, 1, now);
        self.past = verdict.past;
        if verdict.admitted {
            return Ok(());
        }
        Err(self.strategy.available_at(self.past.as_ref(), self.rate, 1, now).saturating_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowance_has_a_burst_and_then_the_rate() {
        let mut allowance = Allowance::new(TokenBucket::new().burst(3), Rate::literal("10/s"));
        allowance.check().unwrap();
        let mut take = |millis: u64| allowance.take(Timestamp::from_micros(1_000_000_000 + millis * 1000));
        assert_eq!([take(0), take(0), take(0)], [Ok(()); 3]);
        assert_eq!(take(0), Err(Duration::from_millis(100)));
        assert_eq!(
            [take(99), take(100), take(100)],
            [Err(Duration::from_millis(1)), Ok(()), Err(Duration::from_millis(100))]
        );
    }

    #[test]
    fn unlimited_allowance_always_has_one() {
        let mut allowance = Allowance::new(TokenBucket::new(), Rate::literal("0/0"));
        allowance.check().unwrap();
        assert!((0..10_000).all(|_| allowance.take(Timestamp::from_micros(1)).is_ok()));
    }
}
