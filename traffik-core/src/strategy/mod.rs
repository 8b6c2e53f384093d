//! The algorithms, as pure functions in integer time.
//!
//! A strategy reads no clock and knows neither stores nor HTTP. Its input is what is stored for a client ([`StoredState`]), a
//! [`Rate`], a cost and a time. Its output is how much is available, when a cost will fit, and what to store after a charge.
//! [`AnyStrategy::decide`] combines these functions into the decision that every backend makes.
//!
//! | strategy | admits | stores | use it for |
//! |---|---|---|---|
//! | [`FixedWindow`] | the limit in each window of the clock | a count | most limits; up to twice the limit can pass around a window's boundary |
//! | [`SlidingWindowCounter`] | the limit in a sliding window, of which the older part is an estimate | two counts | limits for which that boundary matters |
//! | [`SlidingWindowLog`] | the limit in any span of a period, exactly | each charge of a period | small limits that must be exact |
//! | [`TokenBucket`](struct@TokenBucket) | bursts up to the size of the bucket, then the rate | a time | APIs whose clients send bursts |
//! | [`LeakyBucket`](struct@LeakyBucket) | the same as a token bucket of this size | a time | work that drains at a steady pace |
//! | [`LeakyBucketWithQueue`](struct@LeakyBucketWithQueue) | requests that wait for their turn and leave at the rate | a time | smoothing: work that may wait |
//! | [`Gcra`](struct@Gcra) | evenly spaced requests | a time | clients that must not send bursts |
//! | [`Concurrency`] | the limit of concurrent clients | the present clients | sockets and long work |
//!
//! # Exact arithmetic
//!
//! Time is counted in whole microseconds. If an interval is not a whole number of them, the rest is stored as a fraction whose
//! denominator is the limit. No floats are used, so nothing drifts at any rate, and other languages compute the same digits.
//!
//! # When the rate of a throttle changes
//!
//! A stored state is read at the rate at which it was written. So a new rate gives no client a fresh start: what is used stays
//! used. The first charge at the new rate converts the state.
//!
//! # When the clock goes back
//!
//! If a state was written later than now, the clock went back. The state is then moved back by as much
//! ([`Strategy::clamped_to`]). No limit opens, and no client waits longer than the strategy's longest refusal. For example, a
//! client may wait for a whole window although a part of it had passed.

mod any;
mod concurrency;
mod exact;
mod fixed_window;
mod leaky_bucket_with_queue;
mod log;
mod meter;
mod metered;
mod queue_settings;
mod sliding_window_counter;
mod sliding_window_log;
mod verdict;

use std::{fmt, time::Duration};

use thiserror::Error;

pub use self::{
    any::{AnyStrategy, Holding},
    concurrency::Concurrency,
    fixed_window::FixedWindow,
    log::Log,
    metered::{Gcra, LeakyBucket, TokenBucket},
    queue_settings::LeakyBucketWithQueue,
    sliding_window_counter::SlidingWindowCounter,
    sliding_window_log::SlidingWindowLog,
    verdict::{CurrentState, PlainState, PlainVerdict, PreparedRate, State, StoredState, Verdict},
};
use crate::{clock::Timestamp, rate::Rate};

/// An algorithm: pure functions of what is stored, a rate, a cost and a time.
///
/// [`AnyStrategy::decide`] guarantees that `past` is alive (it expires after `now`), that it was not written later than `now`,
/// and that `rate` is not unlimited.
pub trait Strategy: fmt::Debug + Send + Sync + 'static {
    /// Returns the name in keys and logs.
    ///
    /// States of strategies with different names are separate, so a throttle that changes its strategy starts fresh.
    fn name(&self) -> &'static str;

    /// Checks that the arithmetic is exact at `rate`, and that the settings of the strategy suit it.
    ///
    /// # Errors
    ///
    /// Returns an error that says what is out of bounds, and what the bounds are.
    fn check(&self, rate: Rate) -> Result<(), StrategyError>;

    /// Returns the highest cost that one request can have.
    fn capacity(&self, rate: Rate) -> u64;

    /// Returns the highest cost that would be admitted at `now`.
    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64;

    /// Returns `true` if `cost`, which is at least 1, is admitted at `now`.
    ///
    /// The default implementation compares it with [`available`](Self::available). Override it if there is a faster way.
    fn fits(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> bool {
        cost <= self.available(past, rate, now)
    }

    /// Returns the earliest time, from `now` on, at which `cost` is available if nothing else is charged until then.
    ///
    /// `cost` is at most [`capacity`](Self::capacity).
    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp;

    /// Charges `cost`, which is available, and returns what to store.
    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State;

    /// Gives back a `cost` that was charged at `charged_at`, as far as it certainly still counts, and returns what to store.
    ///
    /// For the strategies of this crate, this is a [settlement](Self::settle) to 0.
    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> State;

    /// Replaces a cost of `charged`, which was charged at `charged_at`, by `actual`, which differs from it. Returns what to
    /// store.
    ///
    /// If `actual` is lower, the strategy gives back the difference, but never more than would leave what a charge of `actual` at
    /// `charged_at` would have left. `past` is then not `None`, and `rate` is the rate of `past`. The strategies of this
    /// crate ensure this while the rate stays the same.
    ///
    /// If `actual` is higher, the strategy charges the difference at `now` and at `rate`, whether it fits or not. What is stored
    /// may then be above the limit. It counts, and blocks what follows until it is worked off. Counts are 2^47 at most, logs
    /// 65 536, and meters drain within 100 years.
    ///
    /// The default implementation calls [`refund`](Self::refund) or [`charge`](Self::charge) with the difference. `charge` may
    /// then be called with a cost that is not available, and must not overflow.
    ///
    /// # Errors
    ///
    /// Returns an error if the state cannot hold the cost, or if the strategy does not count amounts. Nothing changes then. A
    /// refund never fails.
    fn settle(
        &self,
        past: Option<StoredState>,
        rate: Rate,
        charged: u64,
        actual: u64,
        charged_at: Timestamp,
        now: Timestamp,
    ) -> Result<State, SettleError> {
        Ok(by_difference(self, past, rate, charged, actual, charged_at, now))
    }

    /// Returns `true` if all of a `cost` that was charged at `charged_at` still counts.
    ///
    /// [`AnyStrategy::renew`] then replaces the charge, whatever the limit is by now. The default implementation returns
    /// `false`.
    fn still_counts(&self, past: &StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> bool {
        let _ = (past, cost, charged_at, now);
        false
    }

    /// Moves a state that was written later than `now` back by as much, and returns what to store.
    ///
    /// Returns `None` if the state was not written later than `now`. Otherwise, the clock went back.
    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State>;

    /// Returns the part of `past` that the outcome of a decision about `cost` needs, for strategies whose states grow.
    ///
    /// The default implementation returns all of it.
    fn summary(&self, past: &StoredState, rate: Rate, cost: u64, now: Timestamp) -> StoredState {
        let _ = (rate, cost, now);
        past.clone()
    }

    /// Returns how long a request that was charged `cost` at `now` is held. `past` is what was stored after the charge.
    ///
    /// It is called only if [`holding`](Self::holding) returns a value. The default implementation returns zero.
    fn delay(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Duration {
        let _ = (past, rate, cost, now);
        Duration::ZERO
    }

    /// Returns how requests are held, for a strategy that [delays](Self::delay) them. The default implementation returns `None`.
    fn holding(&self) -> Option<Holding> {
        None
    }
}

/// The error for a rate or a setting that a strategy does not support.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{strategy}: {reason}")]
pub struct StrategyError {
    strategy: &'static str,
    reason: String,
}

impl StrategyError {
    /// Creates an error of the named strategy. `reason` says what is wrong and what is allowed.
    #[must_use]
    pub fn new(strategy: &'static str, reason: impl Into<String>) -> Self {
        Self { strategy, reason: reason.into() }
    }
}

/// The highest count that is stored: 2^47. Every limit is lower.
const MAX_COUNT: u64 = 1 << 47;

/// The reason why a charge was not settled. The charge stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The cost is further above the limit than the strategy can store.
    #[error("{strategy}: a cost of {actual} is too far above the limit to be stored: the most is {most}")]
    TooMuch {
        /// The name of the strategy.
        strategy: &'static str,
        /// The cost that was to be charged in total.
        actual: u64,
        /// What the strategy can store, in words.
        most: &'static str,
    },
    /// The strategy does not count amounts, so a charge can only be given back as a whole.
    #[error("{strategy}: a permit can be given back, but it cannot have another cost")]
    Indivisible {
        /// The name of the strategy.
        strategy: &'static str,
    },
}

/// Gives back or charges the difference of two costs.
fn by_difference(
    strategy: &(impl Strategy + ?Sized),
    past: Option<StoredState>,
    rate: Rate,
    charged: u64,
    actual: u64,
    charged_at: Timestamp,
    now: Timestamp,
) -> State {
    match past {
        Some(past) if actual < charged => strategy.refund(past, charged - actual, charged_at, now),
        past => strategy.charge(past, rate, actual.saturating_sub(charged), now),
    }
}

/// Returns the same for a strategy whose second integer is a count.
fn by_count(
    strategy: &impl Strategy,
    past: Option<StoredState>,
    rate: Rate,
    charged: u64,
    actual: u64,
    charged_at: Timestamp,
    now: Timestamp,
) -> Result<State, SettleError> {
    let state = by_difference(strategy, past, rate, charged, actual, charged_at, now);
    let [_, count] = state.words();
    if actual > charged && count > MAX_COUNT {
        return Err(SettleError::TooMuch { strategy: strategy.name(), actual, most: "2^47 in a window" });
    }
    Ok(state)
}
