//! Custom strategies, which are decided in Rust on both sides: their stored state keeps every digit.

use traffik::{
    Rate,
    strategy::{AnyStrategy, FixedWindow, Gcra, SlidingWindowCounter, Strategy, TokenBucket},
};

use super::{Choose, follow, random::Random, size};
use crate::{
    Result,
    own::{CoolDown, Leases, RollOver},
};

/// Returns a strategy with a log, if it works with the rate, or one without.
fn own(rate: Rate, random: &mut Random) -> AnyStrategy {
    let of_two_words = match random.upto(1) {
        0 => AnyStrategy::custom(CoolDown),
        _ => AnyStrategy::custom(RollOver { saved: rate.limit() / 2 }),
    };
    let any = if random.upto(1) == 0 { AnyStrategy::custom(Leases) } else { of_two_words };
    if any.check(rate).is_ok() { any } else { AnyStrategy::custom(CoolDown) }
}

#[tokio::test]
async fn custom_strategies_equal_the_reference() -> Result {
    follow("own strategies", own).await
}

/// A decision with a custom strategy is made in Rust as a whole, and others in Lua.
#[tokio::test]
async fn custom_strategies_with_others_equal_the_reference() -> Result {
    let any: Choose = |rate, random| match random.upto(4) {
        0 => FixedWindow.into(),
        1 => SlidingWindowCounter.into(),
        2 => TokenBucket::new().burst(size(rate, random)).into(),
        3 => Gcra::new().burst(size(rate, random)).into(),
        _ => own(rate, random),
    };
    follow("custom strategies with others", any).await
}
