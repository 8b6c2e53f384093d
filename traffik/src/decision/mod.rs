//! One decision: the [`Hit`]s it is asked about, and the [`Outcome`] for each.

mod hit;
mod outcome;
mod standing;

use smallvec::SmallVec;

pub use self::{
    hit::{Hit, Receipt},
    outcome::Outcome,
    standing::Standing,
};

/// As many limits as a decision holds without an allocation: those of the longest tuple of throttles.
pub(crate) const INLINE: usize = 8;

/// What a backend decided about several hits together: either all of them were charged, or none was.
#[derive(Clone, Debug)]
pub struct Decision {
    outcomes: SmallVec<[Outcome; INLINE]>,
}

impl Decision {
    /// The outcome for each hit, in the order of the hits.
    #[must_use]
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Whether every limit admitted its hit, and so all of them were charged.
    #[must_use]
    pub fn is_admitted(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.admitted)
    }
}

impl FromIterator<Outcome> for Decision {
    fn from_iter<I: IntoIterator<Item = Outcome>>(outcomes: I) -> Self {
        Self { outcomes: outcomes.into_iter().collect() }
    }
}
