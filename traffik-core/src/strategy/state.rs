use super::Log;
use crate::{clock::Timestamp, rate::Rate};

/// What a strategy stores of a client: two integers, perhaps a [`Log`], and the time from which they say nothing any more.
///
/// What the integers mean is the strategy's own matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    expires: Timestamp,
    words: [u64; 2],
    log: Option<Box<Log>>,
}

impl State {
    /// A state of two integers that is as good as none from `expires` on.
    #[inline]
    #[must_use]
    pub const fn new(expires: Timestamp, words: [u64; 2]) -> Self {
        Self { expires, words, log: None }
    }

    /// The same with a log beside the integers, for strategies that cannot do without. It takes memory by the charge.
    #[must_use]
    pub fn with_log(self, log: Log) -> Self {
        Self { log: Some(Box::new(log)), ..self }
    }

    /// The time from which the state says nothing any more: a client without one is treated the same.
    #[inline]
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The strategy's integers.
    #[inline]
    #[must_use]
    pub const fn words(&self) -> [u64; 2] {
        self.words
    }

    /// The strategy's log, if it keeps one.
    #[inline]
    #[must_use]
    pub fn log(&self) -> Option<&Log> {
        self.log.as_deref()
    }

    /// The log, to be written on; an empty one where the state has none.
    #[must_use]
    pub fn into_log(self) -> Log {
        self.log.map_or_else(Log::default, |log| *log)
    }
}

/// What is stored of a client: a [`State`], and the rate under which it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// What the strategy stored.
    pub state: State,
    /// The rate at which it did.
    pub rate: Rate,
}

impl Past {
    /// Whether it still says something at `now`.
    #[inline]
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.state.expires > now
    }
}
