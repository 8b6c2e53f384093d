use std::sync::Arc;

use super::{FixedWindow, Gcra, LeakyBucket, Past, SlidingWindowCounter, State, Strategy, StrategyError, TokenBucket};
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
                    AnyStrategy::Own($strategy) => $call,
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
    TokenBucket,
    LeakyBucket,
    Gcra,
}

impl AnyStrategy {
    /// A strategy of your own.
    #[must_use]
    pub fn own(strategy: impl Strategy) -> Self {
        Self::Own(Arc::new(strategy))
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

    fn available(&self, past: Option<Past>, rate: Rate, now: Timestamp) -> u64 {
        each!(self, strategy => strategy.available(past, rate, now))
    }

    fn available_at(&self, past: Option<Past>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        each!(self, strategy => strategy.available_at(past, rate, cost, now))
    }

    fn charge(&self, past: Option<Past>, rate: Rate, cost: u64, now: Timestamp) -> State {
        each!(self, strategy => strategy.charge(past, rate, cost, now))
    }

    fn refund(&self, past: Past, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        each!(self, strategy => strategy.refund(past, cost, charged_at, now))
    }

    fn rewound(&self, past: Past, now: Timestamp) -> Option<State> {
        each!(self, strategy => strategy.rewound(past, now))
    }
}
