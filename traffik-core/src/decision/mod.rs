//! Decisions: the [`Hit`]s that a backend decides about, and the [`Outcome`] of each.

mod hit;
mod tally;

use std::{cmp::Ordering, fmt, time::Duration};

use smallvec::SmallVec;

pub use self::{
    hit::{Adjustment, Charge, Hit, LimitId},
    tally::{HitTally, TalliedEntry},
};
use crate::{
    clock::Timestamp,
    rate::Rate,
    strategy::{AnyStrategy, StoredState, Strategy},
};

/// The decision of a backend about several hits: either all of them were charged, or none was.
#[derive(Clone, Debug)]
pub struct Decision(Outcomes);

/// Most decisions have one or two outcomes, which are the fastest to create. Up to four need no allocation.
#[derive(Clone, Debug)]
enum Outcomes {
    One([Outcome; 1]),
    Two([Outcome; 2]),
    Several(SmallVec<[Outcome; 4]>),
}

impl Decision {
    /// Returns the outcome of each hit, in the order of the hits.
    #[inline]
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        match &self.0 {
            Outcomes::One(one) => one,
            Outcomes::Two(two) => two,
            Outcomes::Several(several) => several,
        }
    }

    /// Returns the outcomes, for a backend that decides in place.
    #[inline]
    #[must_use]
    pub fn outcomes_mut(&mut self) -> &mut [Outcome] {
        match &mut self.0 {
            Outcomes::One(one) => one,
            Outcomes::Two(two) => two,
            Outcomes::Several(several) => several,
        }
    }

    /// Takes the outcomes out, in the same order.
    #[inline]
    pub fn take_outcomes(&mut self) -> impl Iterator<Item = Outcome> {
        self.outcomes_mut().iter_mut().map(|outcome| Outcome { past: outcome.past.take(), ..*outcome })
    }

    /// Returns `true` if every enforced hit fits. All hits that fit were then charged.
    #[inline]
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.outcomes().iter().all(Outcome::lets_pass)
    }
}

impl From<Outcome> for Decision {
    #[inline]
    fn from(outcome: Outcome) -> Self {
        Self(Outcomes::One([outcome]))
    }
}

impl From<[Outcome; 2]> for Decision {
    #[inline]
    fn from(outcomes: [Outcome; 2]) -> Self {
        Self(Outcomes::Two(outcomes))
    }
}

impl FromIterator<Outcome> for Decision {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        Self(Outcomes::Several(outcomes.into_iter().collect()))
    }
}

/// The outcome of a hit.
///
/// It holds what is stored for the client. [`LimitStatus`] computes the numbers from it, so nothing is
/// computed that is not read, and all backends return the same numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Whether the hit fits. It was charged only if the whole decision was admitted.
    pub admitted: bool,
    /// Whether the hit could refuse the decision: [`Hit::enforced`](Hit::enforced).
    pub enforced: bool,
    /// Whether the backend repeats what it knows of an earlier refusal, without a call to its store.
    pub repeated: bool,
    /// What is stored for the client after the decision, as far as it is needed for the numbers.
    pub past: Option<StoredState>,
    /// The cost of the hit and of those before it on the same entry. A hit that takes what fits counts with the granted cost.
    pub cost: u64,
    /// The cost of this hit alone: the granted one, or the lowest one if the decision is refused.
    pub granted: u64,
    /// The time of the decision, by the backend's clock.
    pub at: Timestamp,
}

impl Outcome {
    /// Creates the outcome of an enforced hit for a client without a stored state.
    #[inline]
    #[must_use]
    pub const fn new(admitted: bool, cost: u64, at: Timestamp) -> Self {
        Self { admitted, enforced: true, repeated: false, past: None, cost, granted: cost, at }
    }

    /// Sets what is stored for the client after the decision.
    #[inline]
    #[must_use]
    pub fn with_past(self, past: Option<StoredState>) -> Self {
        Self { past, ..self }
    }

    /// Sets the cost of this hit alone, where it is not the only one on its entry.
    #[inline]
    #[must_use]
    pub fn with_granted(self, granted: u64) -> Self {
        Self { granted, ..self }
    }

    /// Marks the outcome as one that the backend repeats.
    #[must_use]
    pub fn as_repeated(self) -> Self {
        Self { repeated: true, ..self }
    }

    /// Returns `true` unless the hit refuses the decision.
    #[inline]
    #[must_use]
    pub const fn lets_pass(&self) -> bool {
        self.admitted || !self.enforced
    }
}

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
    #[inline]
    #[must_use]
    pub const fn new(strategy: &'a AnyStrategy, rate: Rate, outcome: &'a Outcome) -> Self {
        Self { strategy, rate, outcome }
    }

    /// Returns the highest cost that would be admitted now.
    #[inline]
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
    #[inline]
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

    #[inline]
    fn until_available(&self, cost: u64) -> Duration {
        let (past, at) = (self.outcome.past.as_ref(), self.outcome.at);
        self.strategy.available_at(past, self.rate, cost, at).saturating_since(at)
    }
}

/// How much of a limit there is: a number, or no limit at all.
///
/// Shows as the number or as `unlimited`, and compares with `u64`.
///
/// ```
/// use traffik::decision::Amount;
///
/// assert_eq!(format!("{} left", Amount::Units(5)), "5 left");
/// assert_eq!(format!("{} left", Amount::Unlimited), "unlimited left");
/// assert!(Amount::Units(5) == 5 && Amount::Units(5) < 6 && Amount::Unlimited > u64::MAX);
/// assert_eq!([Amount::Units(5).units(), Amount::Unlimited.units()], [Some(5), None]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Amount {
    /// A number, in the unit of costs.
    Units(u64),
    /// No limit: nothing is counted, or the rate is unlimited.
    Unlimited,
}

impl Amount {
    /// Returns the number, or `None` if there is no limit.
    #[must_use]
    pub const fn units(self) -> Option<u64> {
        match self {
            Self::Units(units) => Some(units),
            Self::Unlimited => None,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Units(units) => units.fmt(f),
            Self::Unlimited => f.pad("unlimited"),
        }
    }
}

impl PartialEq<u64> for Amount {
    fn eq(&self, units: &u64) -> bool {
        *self == Self::Units(*units)
    }
}

impl PartialOrd<u64> for Amount {
    fn partial_cmp(&self, units: &u64) -> Option<Ordering> {
        self.partial_cmp(&Self::Units(*units))
    }
}
