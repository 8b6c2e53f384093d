//! The strategies in the memory backend, compared with their models at random.

mod clock_goes_back;
mod edges;
mod jumping_clock;
mod own;
mod queue;
pub(crate) mod random;
mod rate_changes;
mod refunds;
mod refunds_of_logs;
mod refusals;
mod renewals;
mod rig;
mod saturated;
mod settlements;
mod traces;
mod two_rates;

use traffik::{
    Rate,
    backend::BackendError,
    strategy::{
        AnyStrategy, Concurrency, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SlidingWindowCounter,
        SlidingWindowLog, Strategy, TokenBucket,
    },
};

type Result = std::result::Result<(), BackendError>;

/// The rates of every property test: the slowest and the fastest that are supported, the bounds, primes, and common
/// ones.
const RATES: &[Rate] = &[
    Rate::literal("1/30d"),
    Rate::literal("10000000/s"),
    Rate::literal("1/50d"),
    Rate::literal("100000000000000/50d"),
    Rate::literal("1/us"),
    Rate::literal("3/us"),
    Rate::literal("9999991/s"),
    Rate::literal("97/10007us"),
    Rate::literal("999983/7h13m"),
    Rate::literal("2147483647/4319999999999us"),
    Rate::literal("1/s"),
    Rate::literal("7/s"),
    Rate::literal("5/10s"),
    Rate::literal("60/min"),
    Rate::literal("100/5m30s"),
    Rate::literal("1000/500ms"),
];

/// Returns each strategy in the configurations that work with `rate`.
fn strategies(rate: Rate) -> Vec<AnyStrategy> {
    let burst = |burst| AnyStrategy::from(TokenBucket::new().burst(burst));
    let all = [
        AnyStrategy::from(FixedWindow),
        AnyStrategy::from(SlidingWindowCounter),
        AnyStrategy::from(SlidingWindowLog),
        Concurrency.into(),
        AnyStrategy::from(TokenBucket::new()),
        burst(1),
        burst(rate.limit() / 2 + 1),
        burst(rate.limit().saturating_mul(3)),
        TokenBucket::new().debt(rate.limit() / 3).into(),
        LeakyBucket::new().into(),
        Gcra::new().into(),
        Gcra::new().burst(rate.limit() / 5 + 1).into(),
        LeakyBucketWithQueue::new().queue(rate.limit() - 1).into(),
        LeakyBucketWithQueue::new().queue(rate.limit() / 2 + 1).max_delay(rate.period() / 3).into(),
    ];
    all.into_iter().filter(|strategy| strategy.check(rate).is_ok()).collect()
}

/// Returns the same and custom strategies.
pub(crate) fn all_strategies(rate: Rate) -> Vec<AnyStrategy> {
    strategies(rate).into_iter().chain(own::strategies(rate)).collect()
}
