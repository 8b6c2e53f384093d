use super::{AnyStrategy, Past, Strategy};
use crate::{clock::Timestamp, rate::Rate};

/// What a strategy decided about one charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the cost fits.
    pub admitted: bool,
    /// What is known of the client at that time, nothing charged.
    pub before: Option<Past>,
    /// The same once the cost is charged, if it fits.
    pub after: Option<Past>,
    /// Whether `before` was moved back with the clock, so that it must be stored even on a refusal.
    pub rewound: bool,
}

impl AnyStrategy {
    /// Decides whether `cost` fits at `now`, and what is to be stored if so.
    ///
    /// This is the whole of a decision about one limit; a backend adds where the state is kept.
    #[must_use]
    pub fn decide(&self, past: Option<Past>, rate: Rate, cost: u64, now: Timestamp) -> Verdict {
        if rate.is_unlimited() {
            return Verdict { admitted: true, before: None, after: None, rewound: false };
        }
        let moved_back = past.and_then(|past| Some(Past { state: self.rewound(past, now)?, ..past }));
        let before = moved_back.or(past).filter(|past| past.is_alive(now));
        let admitted = cost <= self.available(before, rate, now);
        let after = match cost {
            1.. if admitted => Some(Past { state: self.charge(before, rate, cost, now), rate }),
            _ => before,
        };
        Verdict { admitted, before, after, rewound: moved_back.is_some() }
    }
}
