use crate::{clock::Timestamp, rate::Rate};

/// What a strategy stores of a client: a few integers, and the time from which they say nothing any more.
///
/// What the words mean is the strategy's own matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    expires: Timestamp,
    words: [u64; 2],
}

impl State {
    /// A state that is as good as none from `expires` on.
    #[must_use]
    pub const fn new(expires: Timestamp, words: [u64; 2]) -> Self {
        Self { expires, words }
    }

    /// The time from which the state says nothing any more: a client without one is treated the same.
    #[must_use]
    pub const fn expires(self) -> Timestamp {
        self.expires
    }

    /// The strategy's integers.
    #[must_use]
    pub const fn words(self) -> [u64; 2] {
        self.words
    }
}

/// What is stored of a client: a [`State`], and the rate under which it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// What the strategy stored.
    pub state: State,
    /// The rate at which it did.
    pub rate: Rate,
}

impl Past {
    /// Whether it still says something at `now`.
    #[must_use]
    pub fn is_alive(self, now: Timestamp) -> bool {
        self.state.expires > now
    }
}
