//! What runs inside Redis: the strategies in Lua, and what is asked of them.
//!
//! Each program is put together from the files of this folder. Those of the strategies are named like their Rust twins, and
//! come to the same digits; the numbers that a response tells are worked out in Rust, from what a program says is stored.
//!
//! To define functions takes the server a good part of a call, so that there are programs of one strategy alone, which most
//! decisions need, beside those of several.

#[cfg(feature = "unstable-manual-clock")]
use traffik_core::clock::AnyClock;
use traffik_core::strategy::AnyStrategy;

use crate::script::Script;

/// The time that programs go by.
pub(crate) struct Time {
    scripts: Scripts,
    /// The clock that they are told the time of, where they do not read the server's.
    #[cfg(feature = "unstable-manual-clock")]
    clock: Option<AnyClock>,
}

impl Time {
    /// Programs that read the server's clock.
    pub(crate) fn of_server() -> Self {
        Self {
            scripts: Scripts::by(include_str!("clock.lua")),
            #[cfg(feature = "unstable-manual-clock")]
            clock: None,
        }
    }

    /// Programs that are told the time, as their last argument.
    #[cfg(feature = "unstable-manual-clock")]
    pub(crate) fn by_hand(clock: AnyClock) -> Self {
        Self { scripts: Scripts::by(include_str!("clock_by_hand.lua")), clock: Some(clock) }
    }

    pub(crate) fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    #[cfg(feature = "unstable-manual-clock")]
    pub(crate) fn clock(&self) -> AnyClock {
        self.clock.clone().unwrap_or_else(AnyClock::system)
    }

    /// The argument that tells it.
    #[cfg(feature = "unstable-manual-clock")]
    pub(crate) fn to_tell(&self) -> Option<Vec<u8>> {
        self.clock.as_ref().map(|clock| clock.now().as_micros().to_string().into_bytes())
    }

    #[cfg(not(feature = "unstable-manual-clock"))]
    #[expect(clippy::unused_self, reason = "with a manual clock it knows a clock")]
    pub(crate) fn to_tell(&self) -> Option<Vec<u8>> {
        None
    }
}

/// What can be asked.
pub(crate) struct Programs {
    pub(crate) decide: Script,
    pub(crate) peek: Script,
    pub(crate) adjust: Script,
    pub(crate) renew: Script,
}

/// A strategy's Lua form, by its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum LuaStrategy {
    FixedWindow = 1,
    SlidingWindowCounter = 2,
    Meter = 3,
    /// Of `Concurrency` too: what is stored is the same, under the name of each.
    SlidingWindowLog = 4,
    LeakyBucketWithQueue = 5,
}

impl LuaStrategy {
    /// The Lua form of a strategy, if it has one.
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
    /// Several of those that are simple and met often.
    Several,
    SeveralOfAny,
}

impl LuaSet {
    /// What is needed for both.
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

/// The programs, for each strategy alone and for several of them.
pub(crate) struct Scripts {
    fixed_window: Programs,
    sliding_window_counter: Programs,
    meter: Programs,
    sliding_window_log: Programs,
    leaky_bucket_with_queue: Programs,
    several: Programs,
    several_of_any: Programs,
    /// For strategies that have no form in Lua: what is stored, and to replace it.
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

/// What every program begins with, once it knows the time.
const BEFORE_STRATEGIES: &str = concat!(include_str!("exact.lua"), include_str!("state.lua"));

impl Scripts {
    pub(crate) fn of(&self, strategies: LuaSet) -> &Programs {
        match strategies {
            LuaSet::Only(LuaStrategy::FixedWindow) => &self.fixed_window,
            LuaSet::Only(LuaStrategy::SlidingWindowCounter) => &self.sliding_window_counter,
            LuaSet::Only(LuaStrategy::Meter) => &self.meter,
            LuaSet::Only(LuaStrategy::SlidingWindowLog) => &self.sliding_window_log,
            LuaSet::Only(LuaStrategy::LeakyBucketWithQueue) => &self.leaky_bucket_with_queue,
            LuaSet::Several => &self.several,
            LuaSet::SeveralOfAny => &self.several_of_any,
        }
    }

    fn by(clock: &str) -> Self {
        let several = [FIXED_WINDOW, SLIDING_WINDOW_COUNTER, METER].concat();
        Self {
            fixed_window: Programs::new(clock, FIXED_WINDOW),
            sliding_window_counter: Programs::new(clock, SLIDING_WINDOW_COUNTER),
            meter: Programs::new(clock, METER),
            sliding_window_log: Programs::new(clock, SLIDING_WINDOW_LOG),
            leaky_bucket_with_queue: Programs::new(clock, &[METER, QUEUE].concat()),
            several_of_any: Programs::new(clock, &[&several, QUEUE, SLIDING_WINDOW_LOG].concat()),
            several: Programs::new(clock, &several),
            states: Script::new([clock, include_str!("states.lua")].concat()),
            control: Script::new(include_str!("control.lua").to_owned()),
            swap: Script::new([clock, include_str!("swap.lua")].concat()),
        }
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
            adjust: script(include_str!("adjust.lua")),
            renew: script(include_str!("renew.lua")),
        }
    }
}
