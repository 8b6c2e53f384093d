//! The numbers of an outcome: what remains, and how long to wait.

use std::time::Duration;

use super::{Amount, Outcome};
use crate::{
    clock::Timestamp,
    rate::Rate,
    strategy::{AnyStrategy, Strategy},
};

/// The numbers of one limit for one client after a decision.
///
/// ```
/// use traffik::{Rate, backend::{Backend, MemoryBackend}, client::Key, decision::{Hit, LimitId, LimitStatus}, strategy::AnyStrategy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (limit, rate) = (LimitId::new("search", AnyStrategy::default()), Rate::literal("5/min"));
/// let alice = Key::from("alice");
/// let hit = Hit::new(&limit, &alice, rate, 2);
/// let decision = MemoryBackend::new("myapp").decide(&[hit]).await?;
///
/// for outcome in decision.outcomes() {
///     let status = LimitStatus::new(limit.strategy(), rate, outcome);
///     assert_eq!(status.remaining(), 3);
///     assert_eq!(status.retry_after(), None);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LimitStatus<'a> {
    strategy: &'a AnyStrategy,
    rate: Rate,
    outcome: &'a Outcome,
}

impl<'a> LimitStatus<'a> {
    /// What `outcome` means at a strategy and a rate: those of its hit.
    #[must_use]
    pub const fn new(strategy: &'a AnyStrategy, rate: Rate, outcome: &'a Outcome) -> Self {
        Self { strategy, rate, outcome }
    }

    /// Returns the highest cost that would be admitted now.
    #[must_use]
    pub fn remaining(&self) -> Amount {
        if self.rate.is_unlimited() {
            return Amount::Unlimited;
        }
        Amount::Units(self.strategy.available(self.outcome.past.as_ref(), self.rate, self.outcome.at))
    }

    /// How long until the refused cost would be admitted, if nobody else takes from the limit until then.
    ///
    /// Nothing, if the limit had room, or if a cost as high as this one never fits.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (!self.outcome.admitted && !self.is_never_possible()).then(|| self.until_available(self.outcome.cost))
    }

    /// Whether the cost is higher than the limit can ever hold.
    #[must_use]
    pub fn is_never_possible(&self) -> bool {
        !self.rate.is_unlimited() && self.outcome.cost > self.strategy.capacity(self.rate)
    }

    /// How long the request has to be held before it goes on, from the time of the decision: for strategies that
    /// [delay](Strategy::delay). It tells of what was charged, and so nothing of a peek or a refused decision.
    #[must_use]
    pub fn delay(&self) -> Duration {
        if !self.outcome.admitted || self.rate.is_unlimited() {
            return Duration::ZERO;
        }
        self.strategy.delay(self.outcome.past.as_ref(), self.rate, self.outcome.cost, self.outcome.at)
    }

    /// How long until more is available than now. Nothing, if nothing is used.
    #[must_use]
    pub fn more_after(&self) -> Option<Duration> {
        self.more_after_than(self.remaining())
    }

    /// Returns [`more_after`](Self::more_after) where `remaining` is what [`remaining`](Self::remaining) returned.
    #[must_use]
    pub fn more_after_than(&self, remaining: Amount) -> Option<Duration> {
        let more = remaining.units()?.saturating_add(1);
        (more <= self.strategy.capacity(self.rate)).then(|| self.until_available(more))
    }

    /// How long until all of it is available again.
    #[must_use]
    pub fn reset_after(&self) -> Duration {
        if self.rate.is_unlimited() {
            return Duration::ZERO;
        }
        self.until_available(self.strategy.capacity(self.rate))
    }

    /// When it was decided, by the backend's clock.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.outcome.at
    }

    fn until_available(&self, cost: u64) -> Duration {
        let (past, at) = (self.outcome.past.as_ref(), self.outcome.at);
        self.strategy.available_at(past, self.rate, cost, at).saturating_since(at)
    }
}
