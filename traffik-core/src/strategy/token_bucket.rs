use super::metered::Metered;
use crate::rate::Rate;

/// A bucket of tokens that every request takes its cost from, and that fills evenly at the rate.
///
/// It holds [`burst`](Self::burst) tokens, as many as the limit unless said otherwise: a client that was quiet may spend
/// them all at once, and then goes on at the rate. It fills continuously: at `60/min` a token comes back each second,
/// and at `7/s` each seventh of one.
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

impl TokenBucket {
    /// A bucket that holds as many tokens as the limit, and makes no debts.
    pub const fn new() -> Self {
        Self { burst: None, debt: 0 }
    }

    /// Holds `burst` tokens: that much may be spent at once.
    pub const fn burst(self, burst: u64) -> Self {
        Self { burst: Some(burst), ..self }
    }

    /// Lets an empty bucket owe up to `debt` tokens, which have to come back before anything else does: for requests
    /// that must get through now and are paid for by those that follow.
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
