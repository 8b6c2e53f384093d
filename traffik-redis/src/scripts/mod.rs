//! The scripts that run inside Redis: the strategies in Lua, and the operations on them.
//!
//! Each script is assembled from the files of this folder. The Lua file of a strategy has the name of the Rust
//! strategy, and computes the same results. The numbers of a response are computed in Rust, from the state that a
//! script reports.
//!
//! Defining functions takes the server a good part of a call. So there are scripts for each strategy alone, which most
//! decisions use, in addition to scripts for several strategies.

use traffik_core::{clock::AnyClock, strategy::AnyStrategy};

use crate::client::Script;

/// The operations on hits.
pub(crate) struct Programs {
    pub(crate) decide: Script,
    pub(crate) peek: Script,
    pub(crate) adjust: Script,
    pub(crate) renew: Script,
}

/// A strategy with a Lua form, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum LuaStrategy {
    FixedWindow = 1,
    SlidingWindowCounter = 2,
    Meter = 3,
    /// Also for `Concurrency`, which stores the same state under its own name.
    SlidingWindowLog = 4,
    LeakyBucketWithQueue = 5,
}

impl LuaStrategy {
    /// Returns the Lua form of a strategy, if it has one.
    pub(crate) const fn of(strategy: &AnyStrategy) -> Option<Self> {
        match strategy {
            AnyStrategy::FixedWindow(_) => Some(Self::FixedWindow),
            AnyStrategy::SlidingWindowCounter(_) => Some(Self::SlidingWindowCounter),
            AnyStrategy::SlidingWindowLog(_) | AnyStrategy::Concurrency(_) => Some(Self::SlidingWindowLog),
            AnyStrategy::TokenBucket(_) | AnyStrategy::LeakyBucket(_) | AnyStrategy::Gcra(_) => Some(Self::Meter),
            AnyStrategy::LeakyBucketWithQueue(_) => Some(Self::LeakyBucketWithQueue),
            _ => None,
        }
    }
}

/// The strategies of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LuaSet {
    Only(LuaStrategy),
    /// Several simple and common strategies.
    Several,
    SeveralOfAny,
}

impl LuaSet {
    /// Returns the smallest set that contains both.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (one, other) if one == other => one,
            (one, other) if one.is_rare() || other.is_rare() => Self::SeveralOfAny,
            _ => Self::Several,
        }
    }

    fn is_rare(self) -> bool {
        matches!(
            self,
            Self::SeveralOfAny | Self::Only(LuaStrategy::SlidingWindowLog | LuaStrategy::LeakyBucketWithQueue)
        )
    }
}

/// The scripts for each strategy alone and for several strategies.
pub(crate) struct Scripts {
    /// The clock whose time is sent to the scripts. `None` if they read the clock of the server.
    clock: Option<AnyClock>,
    alone: [(LuaStrategy, Programs); 5],
    several: Programs,
    several_of_any: Programs,
    /// For strategies without a Lua form: read the states, and replace them.
    pub(crate) states: Script,
    pub(crate) swap: Script,
    /// For the settings of a namespace.
    pub(crate) control: Script,
}

const FIXED_WINDOW: &str = include_str!("fixed_window.lua");
const SLIDING_WINDOW_COUNTER: &str = include_str!("sliding_window_counter.lua");
const METER: &str = include_str!("meter.lua");
const QUEUE: &str = include_str!("leaky_bucket_with_queue.lua");
const SLIDING_WINDOW_LOG: &str = include_str!("sliding_window_log.lua");

/// The code of every script after the clock and before the strategies.
const BEFORE_STRATEGIES: &str = concat!(include_str!("exact.lua"), include_str!("state.lua"));

impl Scripts {
    /// Creates scripts that read the clock of the server.
    pub(crate) fn of_server() -> Self {
        Self::by(include_str!("clock.lua"), None)
    }

    /// Creates scripts that receive the time as their last argument.
    #[cfg(feature = "unstable-manual-clock")]
    pub(crate) fn by_hand(clock: AnyClock) -> Self {
        Self::by(include_str!("clock_by_hand.lua"), Some(clock))
    }

    #[cfg(feature = "unstable-manual-clock")]
    pub(crate) fn clock(&self) -> AnyClock {
        self.clock.clone().unwrap_or_else(AnyClock::system)
    }

    /// Returns the argument with the time, if the scripts need one.
    pub(crate) fn time_argument(&self) -> Option<Vec<u8>> {
        self.clock.as_ref().map(|clock| clock.now().as_micros().to_string().into_bytes())
    }

    pub(crate) fn of(&self, strategies: LuaSet) -> &Programs {
        match strategies {
            LuaSet::Only(strategy) => {
                let mut alone = self.alone.iter();
                alone.find(|(of, _)| *of == strategy).map_or(&self.several_of_any, |(_, programs)| programs)
            }
            LuaSet::Several => &self.several,
            LuaSet::SeveralOfAny => &self.several_of_any,
        }
    }

    fn by(time: &str, clock: Option<AnyClock>) -> Self {
        let several = [FIXED_WINDOW, SLIDING_WINDOW_COUNTER, METER].concat();
        Self {
            clock,
            alone: [
                (LuaStrategy::FixedWindow, Programs::new(time, FIXED_WINDOW)),
                (LuaStrategy::SlidingWindowCounter, Programs::new(time, SLIDING_WINDOW_COUNTER)),
                (LuaStrategy::Meter, Programs::new(time, METER)),
                (LuaStrategy::SlidingWindowLog, Programs::new(time, SLIDING_WINDOW_LOG)),
                (LuaStrategy::LeakyBucketWithQueue, Programs::new(time, &[METER, QUEUE].concat())),
            ],
            several_of_any: Programs::new(time, &[&several, QUEUE, SLIDING_WINDOW_LOG].concat()),
            several: Programs::new(time, &several),
            states: Script::new([time, include_str!("states.lua")].concat()),
            control: Script::new(include_str!("control.lua").to_owned()),
            swap: Script::new([time, include_str!("swap.lua")].concat()),
        }
    }
}

impl Programs {
    fn new(time: &str, strategies: &str) -> Self {
        let script = |question: &str| {
            Script::new([time, BEFORE_STRATEGIES, strategies, include_str!("hits.lua"), question].concat())
        };
        Self {
            decide: script(include_str!("decide.lua")),
            peek: script(include_str!("peek.lua")),
            adjust: script(concat!(include_str!("charges.lua"), include_str!("adjust.lua"))),
            renew: script(concat!(include_str!("charges.lua"), include_str!("renew.lua"))),
        }
    }
}
