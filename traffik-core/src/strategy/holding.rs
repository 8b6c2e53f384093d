use super::AnyStrategy;

/// How requests that a strategy [delays](super::Strategy::delay) are held: how many at most, and what decides beyond that.
///
/// A request that is held takes memory and a connection, so that there is a bound to how many are, in each process and of each
/// throttle. A request of a throttle that holds so many is decided about by [`at_once`](Self::at_once), which delays none.
#[derive(Clone, Debug)]
pub struct Holding {
    max_held: usize,
    at_once: AnyStrategy,
}

impl Holding {
    /// At most `max_held` requests at a time. `at_once` is the same strategy, by its name and by what it stores, but admits
    /// only what need not be delayed.
    #[must_use]
    pub fn new(max_held: usize, at_once: impl Into<AnyStrategy>) -> Self {
        Self { max_held, at_once: at_once.into() }
    }

    /// How many requests are held at most.
    #[must_use]
    pub fn max_held(&self) -> usize {
        self.max_held
    }

    /// What decides while as many are held.
    #[must_use]
    pub fn at_once(&self) -> &AnyStrategy {
        &self.at_once
    }
}
