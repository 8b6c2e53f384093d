//! Decisions: the [`Hit`]s that a backend decides about, and the [`Outcome`] of each.

mod amount;
mod hit;
mod limit_id;
mod limit_status;
mod outcome;
mod tally;

use smallvec::SmallVec;

pub use self::{
    amount::Amount,
    hit::{Adjustment, Charge, Hit},
    limit_id::LimitId,
    limit_status::LimitStatus,
    outcome::Outcome,
    tally::{HitTally, TalliedEntry},
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
