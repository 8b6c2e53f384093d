//! The windows of the clock.

use crate::{clock::Timestamp, rate::Rate};

/// A window `[start, end)` of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

impl Window {
    /// Returns the window that contains `now`. Windows are aligned to the Unix epoch, which was a Thursday.
    #[inline(always)]
    pub(super) fn at(now: Timestamp, rate: Rate) -> Self {
        let period = rate.period_micros().max(1);
        let start = now.as_micros() - now.as_micros() % period;
        Self { start: Timestamp::from_micros(start), end: Timestamp::from_micros(start.saturating_add(period)) }
    }
}
