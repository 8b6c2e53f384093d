use std::{sync::Arc, time::Duration};

use super::{
    Concurrency, FixedWindow, Gcra, Holding, LeakyBucket, LeakyBucketWithQueue, Past, SlidingWindowCounter,
    SlidingWindowLog, State, Strategy, StrategyError, TokenBucket, Verdict,
    verdict::{self, Present},
};
use crate::{clock::Timestamp, rate::Rate};

/// The table of strategies: each is a variant, called without a pointer.
macro_rules! strategies {
    ($($name:ident),+ $(,)?) => {
        /// Any [`Strategy`]: one of those that traffik knows, or your own.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub enum AnyStrategy {
            $(
                #[doc = concat!("See [`", stringify!($name), "`].")]
                $name($name),
            )+
            /// A strategy of your own.
            Own(Arc<dyn Strategy>),
        }

        $(impl From<$name> for AnyStrategy {
            fn from(strategy: $name) -> Self {
                Self::$name(strategy)
            }
        })+

        /// Calls `$call` on whichever strategy it is.
        macro_rules! each {
            ($any:expr, $strategy:ident => $call:expr) => {
                match $any {
                    $(AnyStrategy::$name($strategy) => $call,)+
                    AnyStrategy::Own(own) => {
                        let $strategy = own.as_ref();
                        $call
                    }
                }
            };
        }

        /// Your own strategies are equal if they are the same one.
        impl PartialEq for AnyStrategy {
            fn eq(&self, other: &Self) -> bool {
                match (self, other) {
                    $((Self::$name(one), Self::$name(other)) => one == other,)+
                    (Self::Own(one), Self::Own(other)) => Arc::ptr_eq(one, other),
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
    /// A strategy of your own.
    #[must_use]
    pub fn own(strategy: impl Strategy) -> Self {
        Self::Own(Arc::new(strategy))
    }

    /// Whether its functions are a user's, and may panic.
    #[must_use]
    pub const fn is_custom(&self) -> bool {
        matches!(self, Self::Own(_))
    }

    /// Decides whether `cost` fits at `now`, and what is to be stored then.
    ///
    /// This is the whole of a decision about one limit; a backend adds where the state is kept.
    #[inline]
    #[must_use]
    pub fn decide(&self, past: Option<Past>, rate: Rate, cost: u64, now: Timestamp) -> Verdict {
        if rate.is_unlimited() {
            return Verdict { admitted: true, past: None, is_new: false };
        }
        match self {
            // Those that most apps have, of which a good part of the decision is there in line.
            Self::FixedWindow(strategy) => verdict::decide(strategy, past, rate, cost, now),
            Self::SlidingWindowCounter(strategy) => verdict::decide(strategy, past, rate, cost, now),
            Self::TokenBucket(strategy) => verdict::decide(strategy, past, rate, cost, now),
            Self::LeakyBucket(strategy) => verdict::decide(strategy, past, rate, cost, now),
            Self::Gcra(strategy) => verdict::decide(strategy, past, rate, cost, now),
            _ => self.decide_apart(past, rate, cost, now),
        }
    }

    #[inline(never)]
    fn decide_apart(&self, past: Option<Past>, rate: Rate, cost: u64, now: Timestamp) -> Verdict {
        each!(self, strategy => verdict::decide(strategy, past, rate, cost, now))
    }

    /// Decides whether a `cost` that was charged at `charged_at` is charged anew at `now`, in place of that: it is if it still
    /// [counts](Strategy::holds), or if there is room once it is given back as far as it does.
    ///
    /// This is the whole of a renewal; a backend adds where the state is kept.
    #[must_use]
    pub fn renew(&self, past: Option<Past>, rate: Rate, cost: u64, charged_at: Timestamp, now: Timestamp) -> Verdict {
        if rate.is_unlimited() {
            return Verdict { admitted: true, past: None, is_new: false };
        }
        each!(self, strategy => verdict::renew(strategy, past, rate, cost, charged_at, now))
    }

    /// What of `past` still says something at `now`.
    #[inline]
    #[must_use]
    pub fn present(&self, past: Option<Past>, now: Timestamp) -> Present {
        each!(self, strategy => verdict::present(strategy, past, now))
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

    fn available(&self, past: Option<&Past>, rate: Rate, now: Timestamp) -> u64 {
        each!(self, strategy => strategy.available(past, rate, now))
    }

    fn fits(&self, past: Option<&Past>, rate: Rate, cost: u64, now: Timestamp) -> bool {
        each!(self, strategy => strategy.fits(past, rate, cost, now))
    }

    fn available_at(&self, past: Option<&Past>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        each!(self, strategy => strategy.available_at(past, rate, cost, now))
    }

    fn charge(&self, past: Option<Past>, rate: Rate, cost: u64, now: Timestamp) -> State {
        each!(self, strategy => strategy.charge(past, rate, cost, now))
    }

    fn refund(&self, past: Past, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        each!(self, strategy => strategy.refund(past, cost, charged_at, now))
    }

    fn holds(&self, past: &Past, cost: u64, charged_at: Timestamp, now: Timestamp) -> bool {
        each!(self, strategy => strategy.holds(past, cost, charged_at, now))
    }

    fn rewound(&self, past: &Past, now: Timestamp) -> Option<State> {
        each!(self, strategy => strategy.rewound(past, now))
    }

    fn outline(&self, past: &Past, rate: Rate, cost: u64, now: Timestamp) -> Past {
        each!(self, strategy => strategy.outline(past, rate, cost, now))
    }

    fn delay(&self, past: Option<&Past>, rate: Rate, cost: u64, now: Timestamp) -> Duration {
        each!(self, strategy => strategy.delay(past, rate, cost, now))
    }

    fn holding(&self) -> Option<Holding> {
        each!(self, strategy => strategy.holding())
    }
}
