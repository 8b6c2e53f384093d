//! Strategies of a user's own, which are decided in Rust on either side: what is stored of them comes back with every digit.

use traffik::{
    Rate,
    strategy::{AnyStrategy, FixedWindow, Gcra, SlidingWindowCounter, Strategy, TokenBucket},
};

use super::{Choose, follow, random::Random, size};
use crate::{
    Result,
    own::{CoolDown, Leases, RollOver},
};

/// One with a log, where that goes with the rate, or one without.
fn own(rate: Rate, random: &mut Random) -> AnyStrategy {
    let of_two_words = match random.upto(1) {
        0 => AnyStrategy::custom(CoolDown),
        _ => AnyStrategy::custom(RollOver { saved: rate.limit() / 2 }),
    };
    let any = if random.upto(1) == 0 { AnyStrategy::custom(Leases) } else { of_two_words };
    if any.check(rate).is_ok() { any } else { AnyStrategy::custom(CoolDown) }
}

#[tokio::test]
async fn own_strategies() -> Result {
    follow("own strategies", own).await
}

/// Each decision as a whole is made in Rust then, and in Lua where it is not about one of them.
#[tokio::test]
async fn own_strategies_beside_others() -> Result {
    let any: Choose = |rate, random| match random.upto(4) {
        0 => FixedWindow.into(),
        1 => SlidingWindowCounter.into(),
        2 => TokenBucket::new().burst(size(rate, random)).into(),
        3 => Gcra::new().burst(size(rate, random)).into(),
        _ => own(rate, random),
    };
    follow("own strategies beside others", any).await
}
