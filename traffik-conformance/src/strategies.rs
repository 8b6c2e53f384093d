//! Every strategy of traffik, for tests that run with each of them. The crate `tests` includes this file.

use traffik_core::{
    rate::Rate,
    strategy::{
        AnyStrategy, Concurrency, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SlidingWindowCounter,
        SlidingWindowLog, Strategy, TokenBucket,
    },
};

/// Returns each strategy once, configured to admit a whole `limit` without a pause between requests.
#[must_use]
pub fn each_strategy(limit: u64) -> [AnyStrategy; 8] {
    [
        FixedWindow.into(),
        SlidingWindowCounter.into(),
        SlidingWindowLog.into(),
        Concurrency.into(),
        TokenBucket::new().into(),
        LeakyBucket::new().into(),
        Gcra::new().burst(limit).into(),
        LeakyBucketWithQueue::new().queue(limit - 1).into(),
    ]
}

/// Returns each strategy with several settings, as far as they work with `rate`.
#[must_use]
pub fn configured_strategies(rate: Rate) -> Vec<AnyStrategy> {
    let limit = rate.limit();
    let others: [AnyStrategy; 6] = [
        TokenBucket::new().burst(limit / 2 + 1).into(),
        TokenBucket::new().burst(limit.saturating_mul(3)).into(),
        TokenBucket::new().debt(limit / 3).into(),
        Gcra::new().into(),
        Gcra::new().burst(limit / 5 + 1).into(),
        LeakyBucketWithQueue::new().queue(limit / 2 + 1).max_delay(rate.period() / 3).into(),
    ];
    each_strategy(limit).into_iter().chain(others).filter(|strategy| strategy.check(rate).is_ok()).collect()
}
