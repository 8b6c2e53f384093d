use super::metered::Metered;
use crate::rate::Rate;

/// Takes the cost of each request from a bucket of tokens that fills evenly, at the rate.
///
/// The bucket holds [`burst`](Self::burst) tokens. A client that was idle may spend them without waiting, and continues at the
/// rate. The bucket fills continuously: at `60/min` one token comes back per second, and at `7/s` one per seventh of a second.
///
/// ```
/// use traffik::{Rate, clock::Timestamp, strategy::{Strategy, TokenBucket}};
///
/// let rate = Rate::literal("100/min");
/// let bucket = TokenBucket::new().burst(150);
/// assert_eq!(bucket.available(None, rate, Timestamp::UNIX_EPOCH), 150);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct TokenBucket {
    burst: Option<u64>,
    debt: u64,
}

/// `TokenBucket::new()`, so that `strategy = TokenBucket` needs no call.
#[expect(non_upper_case_globals, reason = "it is written like the strategies without settings")]
pub const TokenBucket: TokenBucket = TokenBucket::new();

impl TokenBucket {
    /// Creates a bucket that holds as many tokens as the limit.
    pub const fn new() -> Self {
        Self { burst: None, debt: 0 }
    }

    /// Sets the number of tokens that the bucket holds. Defaults to the limit.
    pub const fn burst(self, burst: u64) -> Self {
        Self { burst: Some(burst), ..self }
    }

    /// Enlarges the bucket by `debt` tokens. Defaults to 0.
    ///
    /// `burst(10).debt(20)` gives the same results as `burst(30)`.
    pub const fn debt(self, debt: u64) -> Self {
        Self { debt, ..self }
    }
}

impl Metered for TokenBucket {
    const NAME: &'static str = "token-bucket";

    #[inline]
    fn size(&self, rate: Rate) -> u64 {
        self.burst.unwrap_or_else(|| rate.limit()).saturating_add(self.debt)
    }
}
