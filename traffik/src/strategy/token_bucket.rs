use std::time::Duration;

use super::{Past, State, Strategy, StrategyError, exact::mul_div_ceil, meter::Meter};
use crate::{clock::Timestamp, rate::Rate};

/// A bucket of tokens that every request takes its cost from, and that fills evenly at the rate.
///
/// It holds [`burst`](Self::burst) tokens, as many as the limit unless said otherwise: a client that was quiet may spend
/// them all at once, and then goes on at the rate. It fills continuously: at `60/min` a token comes back each second,
/// and at `7/s` each seventh of one.
///
/// ```
/// use traffik::{Rate, clock::Timestamp, strategy::{Strategy, TokenBucket}};
///
/// let rate = Rate::literal("100/min");
/// let bucket = TokenBucket::new().burst(150);
/// assert_eq!(bucket.available(None, rate, Timestamp::UNIX_EPOCH), 150);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct TokenBucket {
    burst: Option<u64>,
}

impl TokenBucket {
    /// The longest that a bucket may take to fill.
    pub const MAX_FILL_TIME: Duration = Duration::from_secs(100 * 365 * 86_400);

    /// A bucket that holds as many tokens as the limit.
    pub const fn new() -> Self {
        Self { burst: None }
    }

    /// Holds `burst` tokens: that much may be spent at once.
    pub const fn burst(self, burst: u64) -> Self {
        Self { burst: Some(burst) }
    }

    fn size(self, rate: Rate) -> u64 {
        self.burst.unwrap_or_else(|| rate.limit())
    }
}

impl Strategy for TokenBucket {
    fn name(&self) -> &'static str {
        "token-bucket"
    }

    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        let size = self.size(rate);
        if size == 0 || size > Rate::MAX_LIMIT {
            let reason =
                format!("a burst of {size} is out of bounds: it is at least 1 and at most {}", Rate::MAX_LIMIT);
            return Err(StrategyError::new(self.name(), reason));
        }
        let fill_time = mul_div_ceil(size, rate.period_micros(), rate.limit());
        if u128::from(fill_time) > Self::MAX_FILL_TIME.as_micros() {
            let reason = format!(
                "a burst of {size} at {rate} would take {} to fill, and the longest is 100 years: lower the burst or raise the rate",
                humantime::format_duration(Duration::from_secs(fill_time / 1_000_000)),
            );
            return Err(StrategyError::new(self.name(), reason));
        }
        Ok(())
    }

    fn capacity(&self, rate: Rate) -> u64 {
        self.size(rate)
    }

    fn available(&self, past: Option<Past>, rate: Rate, now: Timestamp) -> u64 {
        let taken = past.map_or(0, |past| Meter::read(past, rate).level(now));
        self.size(rate).saturating_sub(taken)
    }

    fn available_at(&self, past: Option<Past>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        let most = self.size(rate).saturating_sub(cost);
        past.map_or(now, |past| Meter::read(past, rate).drains_to(most).max(now))
    }

    fn charge(&self, past: Option<Past>, rate: Rate, cost: u64, now: Timestamp) -> State {
        let meter = past.map_or(Meter::empty(rate, now), |past| Meter::read(past, rate).at_rate(rate, now));
        meter.filled(cost, now).write()
    }

    /// The tokens it cost, as far as the bucket has not filled up since.
    fn refund(&self, past: Past, cost: u64, _charged_at: Timestamp) -> State {
        Meter::read(past, past.rate).emptied(cost).write()
    }

    fn rewound(&self, past: Past, now: Timestamp) -> Option<State> {
        Meter::rewound(past, now).map(Meter::write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_exact_is_refused() {
        let rate = Rate::literal("1/day");
        assert!(TokenBucket::new().burst(36_500).check(rate).is_ok());
        let error = TokenBucket::new().burst(36_501).check(rate).unwrap_err().to_string();
        assert!(error.contains("100 years"), "{error}");
        let error = TokenBucket::new().burst(0).check(rate).unwrap_err().to_string();
        assert!(error.contains("at least 1"), "{error}");
    }
}
