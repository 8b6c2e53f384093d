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
    /// The scripts for each strategy alone, and for several simple ones.
    of_few: [(LuaSet, Programs); 6],
    of_any: Programs,
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
    /// Creates scripts that receive the time of a clock, or read the clock of the server.
    pub(crate) fn new(by_hand: Option<AnyClock>) -> Self {
        let clock = if by_hand.is_some() { include_str!("clock_by_hand.lua") } else { include_str!("clock.lua") };
        let several = [FIXED_WINDOW, SLIDING_WINDOW_COUNTER, METER].concat();
        let alone = |strategy, text| (LuaSet::Only(strategy), Programs::new(clock, text));
        Self {
            clock: by_hand,
            of_few: [
                alone(LuaStrategy::FixedWindow, FIXED_WINDOW),
                alone(LuaStrategy::SlidingWindowCounter, SLIDING_WINDOW_COUNTER),
                alone(LuaStrategy::Meter, METER),
                alone(LuaStrategy::SlidingWindowLog, SLIDING_WINDOW_LOG),
                alone(LuaStrategy::LeakyBucketWithQueue, &[METER, QUEUE].concat()),
                (LuaSet::Several, Programs::new(clock, &several)),
            ],
            of_any: Programs::new(clock, &[&several, QUEUE, SLIDING_WINDOW_LOG].concat()),
            states: Script::new([clock, include_str!("states.lua")].concat()),
            control: Script::new(include_str!("control.lua").to_owned()),
            swap: Script::new([clock, include_str!("swap.lua")].concat()),
        }
    }

    /// Returns the scripts for a set of strategies.
    pub(crate) fn of(&self, strategies: LuaSet) -> &Programs {
        self.of_few.iter().find(|(few, _)| *few == strategies).map_or(&self.of_any, |(_, programs)| programs)
    }

    pub(crate) fn clock(&self) -> AnyClock {
        self.clock.clone().unwrap_or_else(AnyClock::system)
    }

    /// Returns the last argument of each script: the time, if the scripts need it.
    pub(crate) fn time(&self) -> Option<Vec<u8>> {
        self.clock.as_ref().map(|clock| clock.now().as_micros().to_string().into_bytes())
    }
}

impl Programs {
    fn new(clock: &str, strategies: &str) -> Self {
        let script = |question: &str| {
            Script::new([clock, BEFORE_STRATEGIES, strategies, include_str!("hits.lua"), question].concat())
        };
        Self {
            decide: script(include_str!("decide.lua")),
            peek: script(include_str!("peek.lua")),
            adjust: script(concat!(include_str!("charges.lua"), include_str!("adjust.lua"))),
            renew: script(concat!(include_str!("charges.lua"), include_str!("renew.lua"))),
        }
    }
}
