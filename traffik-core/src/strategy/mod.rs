//! How much: the algorithms, as pure functions in integer time.
//!
//! A strategy knows no clock, no store and no HTTP. From what is stored of a client (its [`Past`]), a
//! [`Rate`], a cost and a time it tells how much is available, when a cost will fit, and what is to be stored after a
//! charge. [`AnyStrategy::decide`] puts these together into the one decision that every backend makes.
//!
//! | strategy | admits | stores | use it for |
//! |---|---|---|---|
//! | [`FixedWindow`] | up to the limit in each window of the clock | a count | most limits; twice the limit can pass around a window's edge |
//! | [`SlidingWindowCounter`] | up to the limit in a window that slides, its older part estimated | two counts | limits where that edge matters |
//! | [`SlidingWindowLog`] | up to the limit in any span of a period, exactly | each charge of a period | small limits that must hold to the letter |
//! | [`TokenBucket`] | bursts up to the bucket's size, then the rate | a time | APIs whose clients come in bursts |
//! | [`LeakyBucket`] | the same, told from the other end | a time | work that drains at a steady pace |
//! | [`LeakyBucketWithQueue`] | what waits its turn: it is held, and leaves at the rate | a time | smoothing: work that may wait |
//! | [`Gcra`] | evenly spaced requests | a time | clients that must not come in bursts |
//! | [`Concurrency`] | up to the limit at once | who is there | sockets, and work that takes long |
//!
//! # Exact
//!
//! Time is counted in whole microseconds, and a share of one, where an interval is no whole number of them, is kept
//! as a fraction with the limit below the line. No float is used anywhere, so that nothing drifts at any rate, and
//! another language comes to the same digits.
//!
//! # When the rate of a throttle changes
//!
//! What is stored is read as the rate meant it under which it was written: nobody gets a fresh start, and what is
//! used stays used. The first charge under the new rate writes it down in the new rate's terms.
//!
//! # When the clock goes back
//!
//! A state that was written later than now can only come from a clock that went back. It is moved back by as much
//! ([`Strategy::rewound`]): nothing opens, and a client waits no longer than its strategy refuses anybody
//! at most: the whole of a window, say, where some of it had passed.

mod any;
mod concurrency;
mod exact;
mod fixed_window;
mod gcra;
mod holding;
mod leaky_bucket;
mod leaky_bucket_with_queue;
mod log;
mod meter;
mod metered;
mod sliding_window_counter;
mod sliding_window_log;
mod state;
mod token_bucket;
mod verdict;
mod window;

use std::{fmt, time::Duration};

use thiserror::Error;

pub use self::{
    any::AnyStrategy,
    concurrency::Concurrency,
    fixed_window::FixedWindow,
    gcra::Gcra,
    holding::Holding,
    leaky_bucket::LeakyBucket,
    leaky_bucket_with_queue::LeakyBucketWithQueue,
    log::Log,
    sliding_window_counter::SlidingWindowCounter,
    sliding_window_log::SlidingWindowLog,
    state::{Past, State},
    token_bucket::TokenBucket,
    verdict::{Present, Verdict},
};
use crate::{clock::Timestamp, rate::Rate};

/// An algorithm: pure functions of what is stored, a rate, a cost and a time.
///
/// The `past` that is handed in is always alive (it expires after `now`) and never written later than `now`; `rate`
/// is never unlimited. [`AnyStrategy::decide`] sees to that.
pub trait Strategy: fmt::Debug + Send + Sync + 'static {
    /// What the strategy is called in keys and logs.
    ///
    /// States of strategies with different names are kept apart: a throttle that changes its strategy starts fresh.
    fn name(&self) -> &'static str;

    /// Whether the maths is exact at `rate`, and the strategy's own settings make sense with it.
    ///
    /// # Errors
    ///
    /// Says what is out of bounds, and what the bounds are.
    fn check(&self, rate: Rate) -> Result<(), StrategyError>;

    /// The highest cost that can ever be admitted at once.
    fn capacity(&self, rate: Rate) -> u64;

    /// The highest cost that would be admitted at `now`.
    fn available(&self, past: Option<&Past>, rate: Rate, now: Timestamp) -> u64;

    /// Whether `cost`, at least 1, is admitted at `now`.
    ///
    /// It is if so much is [`available`](Self::available). A strategy that can tell this faster than how much there is
    /// says so here.
    fn fits(&self, past: Option<&Past>, rate: Rate, cost: u64, now: Timestamp) -> bool {
        cost <= self.available(past, rate, now)
    }

    /// The earliest time, from `now` on, at which `cost` is available if nothing else is charged until then.
    ///
    /// `cost` is at most [`capacity`](Self::capacity).
    fn available_at(&self, past: Option<&Past>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp;

    /// What to store once `cost`, which is available, is charged.
    fn charge(&self, past: Option<Past>, rate: Rate, cost: u64, now: Timestamp) -> State;

    /// What to store once a `cost` that was charged at `charged_at` is given back, as far as it surely still counts.
    fn refund(&self, past: Past, cost: u64, charged_at: Timestamp, now: Timestamp) -> State;

    /// Whether all of a `cost` that was charged at `charged_at` still counts as it was charged. Then it can be charged anew in
    /// its own place, whatever the limit is by now: see [`AnyStrategy::renew`].
    ///
    /// Not that one knows of, unless said otherwise.
    fn holds(&self, past: &Past, cost: u64, charged_at: Timestamp, now: Timestamp) -> bool {
        let _ = (past, cost, charged_at, now);
        false
    }

    /// What to store in place of a state that was written later than `now`, by a clock that went back since: the same,
    /// as much earlier. Nothing, if it was not.
    fn rewound(&self, past: &Past, now: Timestamp) -> Option<State>;

    /// As much of `past` as tells how a client stands once a `cost` was decided: for strategies whose states grow. All of
    /// it, unless said otherwise.
    fn outline(&self, past: &Past, rate: Rate, cost: u64, now: Timestamp) -> Past {
        let _ = (rate, cost, now);
        past.clone()
    }

    /// How long what was charged `cost` at `now` has to be held before it goes on, where `past` is what was stored then.
    /// Nothing, unless said otherwise; only a strategy that tells its [`holding`](Self::holding) is asked.
    fn delay(&self, past: Option<&Past>, rate: Rate, cost: u64, now: Timestamp) -> Duration {
        let _ = (past, rate, cost, now);
        Duration::ZERO
    }

    /// How requests are held, for strategies that [delay](Self::delay) them. Most do not.
    fn holding(&self) -> Option<Holding> {
        None
    }
}

/// A rate or a setting with which a strategy's maths would not be exact, or would make no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{strategy}: {reason}")]
pub struct StrategyError {
    strategy: &'static str,
    reason: String,
}

impl StrategyError {
    /// An error of the named strategy; `reason` says what is wrong and what is allowed.
    #[must_use]
    pub fn new(strategy: &'static str, reason: impl Into<String>) -> Self {
        Self { strategy, reason: reason.into() }
    }
}
