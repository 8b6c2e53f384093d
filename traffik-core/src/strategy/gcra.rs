use super::metered::Metered;
use crate::rate::Rate;

/// Spaces requests evenly: at `60/min` one is admitted each second, and not sixty at once.
///
/// It is the [generic cell rate algorithm](https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm) (ATM Forum, Traffic
/// Management Specification 4.0, 1996). With a [`burst`](Self::burst) of n a client that was quiet may send n at once; it
/// is 1 unless said otherwise, and no request may cost more than that.
///
/// ```
/// use traffik::{Rate, clock::Timestamp, strategy::{Gcra, Strategy}};
///
/// let rate = Rate::literal("60/min");
/// assert_eq!(Gcra::new().available(None, rate, Timestamp::UNIX_EPOCH), 1);
/// assert_eq!(Gcra::new().burst(5).available(None, rate, Timestamp::UNIX_EPOCH), 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Gcra {
    burst: u64,
}

impl Gcra {
    /// Evenly spaced.
    pub const fn new() -> Self {
        Self { burst: 1 }
    }

    /// Tolerates `burst` at once.
    pub const fn burst(self, burst: u64) -> Self {
        Self { burst }
    }
}

impl Default for Gcra {
    fn default() -> Self {
        Self::new()
    }
}

impl Metered for Gcra {
    const NAME: &'static str = "gcra";

    #[inline]
    fn size(&self, _rate: Rate) -> u64 {
        self.burst
    }
}
