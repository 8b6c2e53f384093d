use super::metered::Metered;
use crate::rate::Rate;

/// Adds the cost of each request to a bucket that leaks evenly, at the rate. Refuses what would overflow the bucket.
///
/// It is the leaky bucket as a meter: it delays nothing. The bucket holds its [`capacity`](Self::capacity). A
/// [`TokenBucket`](struct@super::TokenBucket) of the same size admits the same requests.
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

/// `LeakyBucket::new()`, so that `strategy = LeakyBucket` needs no call.
#[expect(non_upper_case_globals, reason = "it is written like the strategies without settings")]
pub const LeakyBucket: LeakyBucket = LeakyBucket::new();

impl LeakyBucket {
    /// Creates a bucket that holds the limit.
    pub const fn new() -> Self {
        Self { capacity: None }
    }

    /// Sets the cost that the bucket holds. Defaults to the limit.
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
