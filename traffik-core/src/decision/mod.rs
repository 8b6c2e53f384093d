//! One decision: the [`Hit`]s it is asked about, and the [`Outcome`] for each.

mod hit;
mod outcome;
mod standing;
mod tally;

use smallvec::SmallVec;

pub use self::{
    hit::{Hit, Receipt},
    outcome::Outcome,
    standing::Standing,
    tally::{HitTally, TalliedEntry},
};

/// What a backend decided about several hits together: either all of them were charged, or none was.
#[derive(Clone, Debug)]
pub struct Decision(Outcomes);

/// One outcome is what most decisions have, and the fastest to make; two are without an allocation as well.
#[derive(Clone, Debug)]
enum Outcomes {
    One([Outcome; 1]),
    Several(SmallVec<[Outcome; 2]>),
}

impl Decision {
    /// The outcome for each hit, in the order of the hits.
    #[inline]
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        match &self.0 {
            Outcomes::One(one) => one,
            Outcomes::Several(several) => several,
        }
    }

    /// The outcomes themselves, in the same order. Each moves straight to where it stays: a decision as a whole is large.
    #[inline]
    pub fn take_outcomes(&mut self) -> impl Iterator<Item = Outcome> {
        let outcomes: &mut [Outcome] = match &mut self.0 {
            Outcomes::One(one) => one,
            Outcomes::Several(several) => several,
        };
        outcomes.iter_mut().map(|outcome| Outcome { past: outcome.past.take(), ..*outcome })
    }

    /// Whether every limit admitted its hit, and so all of them were charged.
    #[inline]
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.outcomes().iter().all(|outcome| outcome.admitted)
    }
}

impl From<Outcome> for Decision {
    #[inline]
    fn from(outcome: Outcome) -> Self {
        Self(Outcomes::One([outcome]))
    }
}

impl FromIterator<Outcome> for Decision {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        Self(Outcomes::Several(outcomes.into_iter().collect()))
    }
}
