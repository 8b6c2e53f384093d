use super::metered::Metered;
use crate::rate::Rate;

/// A bucket that every request pours its cost into, and that leaks evenly at the rate. What would overflow it is refused.
///
/// It is the leaky bucket as a meter: it delays nothing. It holds [`capacity`](Self::capacity), as much as the limit
/// unless said otherwise. With the same size it admits the same requests as a [`TokenBucket`](super::TokenBucket), which
/// tells the story from the other end.
///
/// ```
/// use traffik::{Rate, clock::Timestamp, strategy::{LeakyBucket, Strategy}};
///
/// let rate = Rate::literal("100/min");
/// let bucket = LeakyBucket::new().capacity(20);
/// assert_eq!(bucket.available(None, rate, Timestamp::UNIX_EPOCH), 20);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct LeakyBucket {
    capacity: Option<u64>,
}

impl LeakyBucket {
    /// A bucket that holds as much as the limit.
    pub const fn new() -> Self {
        Self { capacity: None }
    }

    /// Holds `capacity`.
    pub const fn capacity(self, capacity: u64) -> Self {
        Self { capacity: Some(capacity) }
    }
}

impl Metered for LeakyBucket {
    const NAME: &'static str = "leaky-bucket";

    #[inline]
    fn size(&self, rate: Rate) -> u64 {
        self.capacity.unwrap_or_else(|| rate.limit())
    }
}
