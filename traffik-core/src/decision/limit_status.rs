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
    /// Creates the status of an outcome. `strategy` and `rate` are those of its hit.
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

    /// Returns how long until the refused cost would be admitted, if nothing else is charged until then.
    ///
    /// Returns `None` if the cost was admitted, or if it never fits.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (!self.outcome.admitted && !self.is_never_possible()).then(|| self.until_available(self.outcome.cost))
    }

    /// Returns `true` if the cost is above the capacity of the limit.
    #[must_use]
    pub fn is_never_possible(&self) -> bool {
        !self.rate.is_unlimited() && self.outcome.cost > self.strategy.capacity(self.rate)
    }

    /// Returns how long to hold the request, from the time of the decision, for strategies that [delay](Strategy::delay)
    /// requests. It is meaningful only for a decision that charged.
    #[must_use]
    pub fn delay(&self) -> Duration {
        if !self.outcome.admitted || self.rate.is_unlimited() {
            return Duration::ZERO;
        }
        self.strategy.delay(self.outcome.past.as_ref(), self.rate, self.outcome.cost, self.outcome.at)
    }

    /// Returns how long until more is available than now, or `None` if nothing is used.
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

    /// Returns how long until nothing is used any more.
    #[must_use]
    pub fn reset_after(&self) -> Duration {
        if self.rate.is_unlimited() {
            return Duration::ZERO;
        }
        self.until_available(self.strategy.capacity(self.rate))
    }

    /// Returns the time of the decision, by the backend's clock.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.outcome.at
    }

    fn until_available(&self, cost: u64) -> Duration {
        let (past, at) = (self.outcome.past.as_ref(), self.outcome.at);
        self.strategy.available_at(past, self.rate, cost, at).saturating_since(at)
    }
}
