use std::{sync::Arc, time::Duration};

use super::{
    Concurrency, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, PlainState, PlainVerdict, PreparedRate,
    SettleError, SlidingWindowCounter, SlidingWindowLog, State, StoredState, Strategy, StrategyError, TokenBucket,
    Verdict,
    verdict::{self, CurrentState},
};
use crate::{clock::Timestamp, rate::Rate};

/// Declares the strategies. Each is a variant, so that its functions are called directly.
macro_rules! strategies {
    ($($name:ident),+ $(,)?) => {
        /// A strategy of this crate, or a custom one.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum AnyStrategy {
            $(
                #[doc = concat!("See [`", stringify!($name), "`](struct@", stringify!($name), ").")]
                $name($name),
            )+
            /// A custom strategy.
            Custom(Arc<dyn Strategy>),
        }

        $(impl From<$name> for AnyStrategy {
            fn from(strategy: $name) -> Self {
                Self::$name(strategy)
            }
        })+

        /// Evaluates `$call` with the strategy of the variant.
        macro_rules! each {
            ($any:expr, $strategy:ident => $call:expr) => {
                match $any {
                    $(AnyStrategy::$name($strategy) => $call,)+
                    AnyStrategy::Custom(custom) => {
                        let $strategy = custom.as_ref();
                        $call
                    }
                }
            };
        }

        /// Custom strategies are equal if they are the same object.
        impl PartialEq for AnyStrategy {
            #[inline]
            fn eq(&self, other: &Self) -> bool {
                match (self, other) {
                    $((Self::$name(one), Self::$name(other)) => one == other,)+
                    (Self::Custom(one), Self::Custom(other)) => Arc::ptr_eq(one, other),
                    _ => false,
                }
            }
        }
    };
}

strategies! {
    FixedWindow,
    SlidingWindowCounter,
    SlidingWindowLog,
    TokenBucket,
    LeakyBucket,
    LeakyBucketWithQueue,
    Gcra,
    Concurrency,
}

impl AnyStrategy {
    /// Creates a custom strategy.
    #[must_use]
    pub fn custom(strategy: impl Strategy) -> Self {
        Self::Custom(Arc::new(strategy))
    }

    /// Returns `true` for a custom strategy, whose functions may panic.
    #[must_use]
    pub const fn is_custom(&self) -> bool {
        matches!(self, Self::Custom(_))
    }

    /// Decides whether `cost` fits at `now`, and what to store.
    ///
    /// This is the whole decision about one limit. A backend adds only the place where the state is stored.
    #[must_use]
    pub fn decide(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Verdict {
        if rate.is_unlimited() {
            return Verdict { admitted: true, past: None, is_new: false };
        }
        each!(self, strategy => verdict::decide(strategy, past, rate, cost, now))
    }

    /// Computes what [`decide_plain`](Self::decide_plain) needs of a rate, so that it does not divide for each charge.
    ///
    /// Returns `None` where only [`decide`](Self::decide) can decide: for strategies with logs and custom ones, and at an
    /// unlimited rate.
    #[must_use]
    pub fn prepare(&self, rate: Rate) -> Option<PreparedRate> {
        if rate.is_unlimited() {
            return None;
        }
        match self {
            Self::FixedWindow(strategy) => Some(PreparedRate::new(strategy, rate)),
            Self::SlidingWindowCounter(strategy) => Some(PreparedRate::new(strategy, rate)),
            Self::TokenBucket(strategy) => Some(PreparedRate::new(strategy, rate)),
            Self::LeakyBucket(strategy) => Some(PreparedRate::new(strategy, rate)),
            Self::Gcra(strategy) => Some(PreparedRate::new(strategy, rate)),
            Self::LeakyBucketWithQueue(strategy) => Some(PreparedRate::new(strategy, rate)),
            Self::SlidingWindowLog(_) | Self::Concurrency(_) | Self::Custom(_) => None,
        }
    }

    /// Decides like [`decide`](Self::decide) about a state that has no log and was written at this rate. This takes less time.
    ///
    /// `rate` must be from [`prepare`](Self::prepare) of the same strategy. With that of another one the decision is wrong.
    ///
    /// Returns `None` where only [`decide`](Self::decide) can decide: for strategies with logs and custom ones, and if the
    /// clock went back.
    #[inline(always)]
    #[must_use]
    pub fn decide_plain(
        &self,
        past: Option<&PlainState>,
        rate: &PreparedRate,
        cost: u64,
        now: Timestamp,
    ) -> Option<PlainVerdict> {
        match self {
            // The usual strategies are inlined here.
            Self::FixedWindow(strategy) => verdict::decide_plain(strategy, past, rate, cost, now),
            Self::SlidingWindowCounter(strategy) => verdict::decide_plain(strategy, past, rate, cost, now),
            Self::TokenBucket(strategy) => verdict::decide_plain(strategy, past, rate, cost, now),
            Self::LeakyBucket(strategy) => verdict::decide_plain(strategy, past, rate, cost, now),
            Self::Gcra(strategy) => verdict::decide_plain(strategy, past, rate, cost, now),
            Self::LeakyBucketWithQueue(strategy) => verdict::decide_plain(strategy, past, rate, cost, now),
            Self::SlidingWindowLog(_) | Self::Concurrency(_) | Self::Custom(_) => None,
        }
    }

    /// Decides whether a `cost` that was charged at `charged_at` is replaced by a charge at `now`.
    ///
    /// It is replaced if all of it still [counts](Strategy::still_counts), or if it fits after a [refund](Strategy::refund). A
    /// backend adds only the place where the state is stored.
    #[must_use]
    pub fn renew(
        &self,
        past: Option<StoredState>,
        rate: Rate,
        cost: u64,
        charged_at: Timestamp,
        now: Timestamp,
    ) -> Verdict {
        if rate.is_unlimited() {
            return Verdict { admitted: true, past: None, is_new: false };
        }
        each!(self, strategy => verdict::renew(strategy, past, rate, cost, charged_at, now))
    }

    /// Replaces a cost that was charged at `charged_at` by the actual one, and returns what to store.
    ///
    /// This is [`Strategy::settle`] for any stored state. A backend adds only the place where the state is stored. Nothing is
    /// given back if nothing is stored any more.
    ///
    /// # Errors
    ///
    /// Returns the error of the strategy. Nothing changes then.
    pub fn settle(
        &self,
        past: Option<StoredState>,
        rate: Rate,
        charged: u64,
        actual: u64,
        charged_at: Timestamp,
        now: Timestamp,
    ) -> Result<Verdict, SettleError> {
        if rate.is_unlimited() {
            return Ok(Verdict { admitted: true, past: None, is_new: false });
        }
        let CurrentState { past, is_rewound } = self.current(past, now);
        if actual == charged || actual < charged && past.is_none() {
            return Ok(Verdict { admitted: true, past, is_new: is_rewound });
        }
        let rate = past.as_ref().map_or(rate, |past| if actual < charged { past.rate } else { rate });
        let state = each!(self, strategy => strategy.settle(past, rate, charged, actual, charged_at, now))?;
        Ok(Verdict { admitted: true, past: Some(StoredState { state, rate }), is_new: true })
    }

    /// Returns what of `past` still counts at `now`.
    #[inline]
    #[must_use]
    pub fn current(&self, past: Option<StoredState>, now: Timestamp) -> CurrentState {
        each!(self, strategy => verdict::current(strategy, past, now))
    }
}

/// [`FixedWindow`].
impl Default for AnyStrategy {
    fn default() -> Self {
        FixedWindow.into()
    }
}

impl Strategy for AnyStrategy {
    fn name(&self) -> &'static str {
        each!(self, strategy => strategy.name())
    }

    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        each!(self, strategy => strategy.check(rate))
    }

    fn capacity(&self, rate: Rate) -> u64 {
        each!(self, strategy => strategy.capacity(rate))
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        each!(self, strategy => strategy.available(past, rate, now))
    }

    fn fits(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> bool {
        each!(self, strategy => strategy.fits(past, rate, cost, now))
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        each!(self, strategy => strategy.available_at(past, rate, cost, now))
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        each!(self, strategy => strategy.charge(past, rate, cost, now))
    }

    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        each!(self, strategy => strategy.refund(past, cost, charged_at, now))
    }

    fn settle(
        &self,
        past: Option<StoredState>,
        rate: Rate,
        charged: u64,
        actual: u64,
        charged_at: Timestamp,
        now: Timestamp,
    ) -> Result<State, SettleError> {
        each!(self, strategy => strategy.settle(past, rate, charged, actual, charged_at, now))
    }

    fn still_counts(&self, past: &StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> bool {
        each!(self, strategy => strategy.still_counts(past, cost, charged_at, now))
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        each!(self, strategy => strategy.clamped_to(past, now))
    }

    fn summary(&self, past: &StoredState, rate: Rate, cost: u64, now: Timestamp) -> StoredState {
        each!(self, strategy => strategy.summary(past, rate, cost, now))
    }

    fn delay(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Duration {
        each!(self, strategy => strategy.delay(past, rate, cost, now))
    }

    fn holding(&self) -> Option<Holding> {
        each!(self, strategy => strategy.holding())
    }
}

/// How requests that a strategy [delays](Strategy::delay) are held: the highest number, and what decides beyond it.
///
/// A held request takes memory and a connection, so each process bounds their number for each throttle. While a throttle holds
/// as many, the strategy [`at_once`](Self::at_once) decides about its requests. It delays none.
#[derive(Clone, Debug)]
pub struct Holding {
    max_held: usize,
    at_once: AnyStrategy,
}

impl Holding {
    /// Holds up to `max_held` requests. `at_once` has the same name and the same states as the strategy itself, but admits only
    /// what needs no delay.
    #[must_use]
    pub fn new(max_held: usize, at_once: impl Into<AnyStrategy>) -> Self {
        Self { max_held, at_once: at_once.into() }
    }

    /// Returns the highest number of held requests.
    #[must_use]
    pub fn max_held(&self) -> usize {
        self.max_held
    }

    /// Returns the strategy that decides while no more requests may be held.
    #[must_use]
    pub fn at_once(&self) -> &AnyStrategy {
        &self.at_once
    }
}
