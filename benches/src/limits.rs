//! The limits: each is the same for traffik and for governor, with the same part of it used before the measurement.
//!
//! The used part returns only after the end of any program. So the state of every client is alive, like that of a
//! frequent client.

use std::num::NonZeroU32;

use governor::Quota;
use traffik::{
    Rate, Throttle,
    strategy::{AnyStrategy, FixedWindow, Gcra, LeakyBucket, SlidingWindowCounter, TokenBucket},
};

/// A throttle that admits every check.
#[derive(Debug, Throttle)]
#[limit("benches:tokens", "1000000000000/hour")]
pub struct Tokens;

/// A limit with a burst of its whole capacity.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// The outcome of a request.
    pub outcome: &'static str,
    /// Whether requests are admitted.
    pub admits: bool,
    /// The rate for traffik.
    pub rate: Rate,
    /// The quota for governor.
    pub quota: Quota,
    /// The cost that each client has used.
    pub used: NonZeroU32,
}

impl Limit {
    /// A limit that every request passes.
    pub const AMPLE: Self = Self {
        outcome: "admitted",
        admits: true,
        rate: Rate::literal("1_000_000_000/1000h"),
        quota: Quota::per_hour(number(1_000_000)).allow_burst(number(1_000_000_000)),
        used: number(100_000_000),
    };

    /// A limit that is used up.
    pub const USED_UP: Self = Self {
        outcome: "refused",
        admits: false,
        rate: Rate::literal("1000/1000h"),
        quota: Quota::per_hour(number(1)).allow_burst(number(1000)),
        used: number(1000),
    };

    /// Returns the strategies whose state has a fixed size, each with a burst of the whole limit.
    #[must_use]
    pub fn strategies(&self) -> [(&'static str, AnyStrategy); 5] {
        let burst = self.rate.limit();
        [
            ("FixedWindow", FixedWindow.into()),
            ("SlidingWindowCounter", SlidingWindowCounter.into()),
            ("TokenBucket", TokenBucket::new().burst(burst).into()),
            ("LeakyBucket", LeakyBucket::new().capacity(burst).into()),
            ("Gcra", Gcra::new().burst(burst).into()),
        ]
    }
}

#[expect(clippy::unwrap_used, reason = "in a const it ends the build")]
const fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use traffik::strategy::Strategy;

    use super::*;

    #[test]
    fn both_sides_have_the_same_limit() {
        for limit in [Limit::AMPLE, Limit::USED_UP] {
            let Limit { rate, quota, .. } = limit;
            assert_eq!(u64::from(quota.burst_size().get()), rate.limit());
            assert_eq!(quota.burst_size_replenished_in(), rate.period());
            for (name, strategy) in limit.strategies() {
                assert_eq!(strategy.check(rate), Ok(()), "{name}");
            }
            let one_comes_back_after = rate.period() / u32::try_from(rate.limit()).unwrap();
            assert!(one_comes_back_after * limit.used.get() > Duration::from_secs(24 * 60 * 60));
        }
    }
}
