//! The effect of a fault on calls.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::{
    calls::{Call, CallResult},
    faults::Fault,
    life::Life,
    site::Began,
    waits::{Waits, back_cell},
};

pub(crate) const HEAD: &str = "| fault | calls | admitted | timeouts | unavailable | p50, ms | p99, ms | longest, ms \
                               | charged unheard | late or in doubt | twice | back after, ms |\n\
                               |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

pub(crate) struct Row {
    pub(crate) fault: Fault,
    admitted: usize,
    pub(crate) timed_out: usize,
    pub(crate) unavailable: usize,
    /// The duration of each call.
    pub(crate) waits: Waits,
    /// Charges that the server counted, and whose callers received no result.
    pub(crate) unreported: i64,
    /// Charges that the backend counted as late or in doubt.
    pub(crate) counted: u64,
    /// Charges beyond one for each call.
    pub(crate) twice: u64,
    /// The time from the end of the fault to the first answer.
    pub(crate) back_after: Option<Duration>,
}

impl Row {
    /// Creates the row. `executed` is the count of the last server, since it `began`.
    pub(crate) fn new(fault: Fault, calls: &[Call], began: &Began, executed: u64, back: Instant, counted: u64) -> Self {
        let lives = [Life::before(calls, began), Life::last(calls, began, executed)];
        let count = |is: fn(&CallResult) -> bool| calls.iter().filter(|call| is(&call.result)).count();
        let answered = calls.iter().filter(|call| matches!(call.result, CallResult::Admitted { .. }));
        Self {
            fault,
            admitted: count(|result| matches!(result, CallResult::Admitted { .. })),
            timed_out: count(|result| matches!(result, CallResult::TimedOut)),
            unavailable: count(|result| matches!(result, CallResult::Unavailable)),
            waits: calls.iter().map(|call| call.took).collect(),
            unreported: lives.iter().map(Life::unreported).sum(),
            counted,
            twice: lives.iter().map(Life::twice).sum(),
            back_after: answered.filter_map(|call| call.ended.checked_duration_since(back)).min(),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, admitted, timed_out, unavailable, waits, unreported, counted, twice, back_after } = self;
        write!(
            f,
            "| {} | {} | {admitted} | {timed_out} | {unavailable} | {} | {unreported} | {counted} | {twice} | {} |",
            fault.name(),
            waits.count(),
            waits.cells(),
            back_cell(*back_after)
        )
    }
}
