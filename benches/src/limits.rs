//! The limits: each the same for traffik and for governor, with as much of it used before the clock starts.
//!
//! What a client used takes longer to come back than any program runs. So its state is alive whenever it is looked at,
//! as that of a client who comes often is, however many clients take turns.

use std::num::NonZeroU32;

use governor::Quota;
use traffik::{
    Rate,
    strategy::{AnyStrategy, FixedWindow, Gcra, LeakyBucket, SlidingWindowCounter, TokenBucket},
};

/// A limit that admits a burst of all that it allows.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// What becomes of a request.
    pub outcome: &'static str,
    /// Whether requests are admitted.
    pub admits: bool,
    /// As traffik takes it.
    pub rate: Rate,
    /// As governor takes it.
    pub quota: Quota,
    /// What each client has used.
    pub used: NonZeroU32,
}

impl Limit {
    /// One that every request passes.
    pub const AMPLE: Self = Self {
        outcome: "admitted",
        admits: true,
        rate: Rate::literal("1_000_000_000/1000h"),
        quota: Quota::per_hour(number(1_000_000)).allow_burst(number(1_000_000_000)),
        used: number(100_000_000),
    };

    /// One that is used up.
    pub const USED_UP: Self = Self {
        outcome: "refused",
        admits: false,
        rate: Rate::literal("1000/1000h"),
        quota: Quota::per_hour(number(1)).allow_burst(number(1000)),
        used: number(1000),
    };

    /// The strategies that keep a few numbers of a client, however many requests he sends, each with a burst of all that
    /// the limit allows.
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
