use super::metered::Metered;
use crate::rate::Rate;

/// Spaces requests evenly: at `60/min` it admits one request per second.
///
/// It is the [generic cell rate algorithm](https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm) (ATM Forum, Traffic
/// Management Specification 4.0, 1996). A client that was idle may send a [`burst`](Self::burst) without spacing. The burst is
/// also the highest cost of a request.
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

/// `Gcra::new()`, so that `strategy = Gcra` needs no call.
#[expect(non_upper_case_globals, reason = "it is written like the strategies without settings")]
pub const Gcra: Gcra = Gcra::new();

impl Gcra {
    /// Creates a strategy with a burst of 1.
    pub const fn new() -> Self {
        Self { burst: 1 }
    }

    /// Sets the cost that is admitted without spacing. Defaults to 1.
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
