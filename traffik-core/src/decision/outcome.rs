use crate::{clock::Timestamp, strategy::StoredState};

/// The outcome of a hit.
///
/// It holds what is stored for the client. [`LimitStatus`](super::LimitStatus) computes the numbers from it, so nothing is
/// computed that is not read, and all backends return the same numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Whether the hit fits. It was charged only if the whole decision was admitted.
    pub admitted: bool,
    /// Whether the hit could refuse the decision: [`Hit::enforced`](super::Hit::enforced).
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
