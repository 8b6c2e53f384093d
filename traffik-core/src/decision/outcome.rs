use crate::{clock::Timestamp, strategy::Past};

/// What one limit made of a hit.
///
/// It holds what is stored of the client rather than numbers, so that nothing is computed that nobody asks for, and so
/// that every backend's numbers come from one place: a [`Standing`](super::Standing).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether this limit had room. It was charged only if all limits of its decision had.
    pub admitted: bool,
    /// What is stored of the client after the decision, as far as it tells how the client stands.
    pub past: Option<Past>,
    /// What was asked for: the cost of the hit, and of those before it on the same entry.
    pub cost: u64,
    /// When it was decided, by the backend's clock.
    pub at: Timestamp,
}
