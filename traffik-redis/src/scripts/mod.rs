//! What runs inside Redis: the strategies in Lua, and what is asked of them.
//!
//! Each program is put together from the files of this folder. Those of the strategies are named like their Rust twins, and
//! come to the same digits; the numbers that a response tells are worked out in Rust, from what a program says is stored.

use fred::util::sha1_hash;

/// A program, and the name that Redis knows it by once it was loaded.
pub(crate) struct Script {
    pub(crate) text: String,
    pub(crate) sha: String,
}

pub(crate) struct Scripts {
    pub(crate) decide: Script,
    pub(crate) peek: Script,
    pub(crate) refund: Script,
}

/// What all programs begin with, once they know the time.
const STRATEGIES: &str = concat!(
    include_str!("exact.lua"),
    include_str!("state.lua"),
    include_str!("fixed_window.lua"),
    include_str!("sliding_window_counter.lua"),
    include_str!("meter.lua"),
    include_str!("hits.lua"),
);

impl Scripts {
    /// Those that read the server's clock.
    pub(crate) fn new() -> Self {
        Self::by(include_str!("clock.lua"))
    }

    /// Those that are told the time, as their last argument.
    #[cfg(feature = "test")]
    pub(crate) fn by_hand() -> Self {
        Self::by(include_str!("clock_by_hand.lua"))
    }

    fn by(clock: &str) -> Self {
        let script = |question: &str| {
            let text = [clock, STRATEGIES, question].concat();
            Script { sha: sha1_hash(&text), text }
        };
        Self {
            decide: script(include_str!("decide.lua")),
            peek: script(include_str!("peek.lua")),
            refund: script(include_str!("refund.lua")),
        }
    }
}
