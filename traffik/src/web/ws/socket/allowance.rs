use std::time::Duration;

use traffik_core::{
    clock::Timestamp,
    rate::Rate,
    strategy::{AnyStrategy, Past, Strategy, StrategyError, TokenBucket},
};

/// How often a connection may have something done, whatever its throttles say: kept here, and asked of nobody.
#[derive(Debug)]
pub(super) struct Allowance {
    strategy: AnyStrategy,
    rate: Rate,
    past: Option<Past>,
}

impl Allowance {
    /// As much at once as the rate allows in its period.
    pub(super) fn new(rate: Rate) -> Self {
        Self { strategy: TokenBucket::new().into(), rate, past: None }
    }

    /// As much at once as this.
    pub(super) fn with_burst(rate: Rate, burst: u64) -> Self {
        Self { strategy: TokenBucket::new().burst(burst).into(), ..Self::new(rate) }
    }

    pub(super) fn check(&self) -> Result<(), StrategyError> {
        if self.rate.is_unlimited() { Ok(()) } else { self.strategy.check(self.rate) }
    }

    /// Takes one, or tells how long until there is one.
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
    fn there_is_a_burst_and_then_the_rate() {
        let mut allowance = Allowance::with_burst(Rate::literal("10/s"), 3);
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
    fn nothing_is_held_to_no_limit() {
        let mut allowance = Allowance::new(Rate::literal("0/0"));
        allowance.check().unwrap();
        assert!((0..10_000).all(|_| allowance.take(Timestamp::from_micros(1)).is_ok()));
    }
}
