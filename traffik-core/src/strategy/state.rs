use super::Log;
use crate::{clock::Timestamp, rate::Rate};

/// The data that a strategy stores for a client: two integers, an optional [`Log`], and the time of expiry.
///
/// Only the strategy knows the meaning of the integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    expires: Timestamp,
    words: [u64; 2],
    log: Option<Box<Log>>,
}

impl State {
    /// Creates a state of two integers that expires at `expires`.
    #[inline]
    #[must_use]
    pub const fn new(expires: Timestamp, words: [u64; 2]) -> Self {
        Self { expires, words, log: None }
    }

    /// Adds a log. It takes memory for each charge.
    #[must_use]
    pub fn with_log(self, log: Log) -> Self {
        Self { log: Some(Box::new(log)), ..self }
    }

    /// Returns the time of expiry. From then on, a client with this state is treated like one without.
    #[inline]
    #[must_use]
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Returns the integers.
    #[inline]
    #[must_use]
    pub const fn words(&self) -> [u64; 2] {
        self.words
    }

    /// Returns the log, if there is one.
    #[inline]
    #[must_use]
    pub fn log(&self) -> Option<&Log> {
        self.log.as_deref()
    }

    /// Returns the log, or an empty one if there is none.
    #[must_use]
    pub fn into_log(self) -> Log {
        self.log.map_or_else(Log::default, |log| *log)
    }
}

/// What is stored for a client: a [`State`] and the rate at which it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredState {
    /// The state.
    pub state: State,
    /// The rate at which the state was written.
    pub rate: Rate,
}

impl StoredState {
    /// Returns `true` if the state has not expired at `now`.
    #[inline]
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.state.expires > now
    }

    /// Returns it without the log.
    #[inline]
    pub(super) const fn written(&self) -> Written {
        Written::new(self.state.expires, self.state.words, self.rate)
    }
}

/// A [`State`] without a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlainState {
    /// The time of expiry: see [`State::expires`].
    pub expires: Timestamp,
    /// The integers.
    pub words: [u64; 2],
}

impl PlainState {
    /// Creates a state of two integers that expires at `expires`.
    #[inline]
    #[must_use]
    pub const fn new(expires: Timestamp, words: [u64; 2]) -> Self {
        Self { expires, words }
    }
}

impl From<PlainState> for State {
    #[inline]
    fn from(PlainState { expires, words }: PlainState) -> Self {
        Self::new(expires, words)
    }
}

/// A [`StoredState`] without a log, to compute with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) expires: Timestamp,
    pub(super) words: [u64; 2],
    pub(super) rate: Rate,
}

impl Written {
    #[inline(always)]
    pub(super) const fn new(expires: Timestamp, [first, second]: [u64; 2], rate: Rate) -> Self {
        Self { expires, words: [first, second], rate }
    }

    #[inline(always)]
    pub(super) const fn plain(self) -> PlainState {
        PlainState::new(self.expires, self.words)
    }
}

impl From<Written> for State {
    #[inline]
    fn from(Written { expires, words, .. }: Written) -> Self {
        Self::new(expires, words)
    }
}
