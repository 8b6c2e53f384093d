//! What a fault came to.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::{
    calls::{Call, Told},
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
    /// How long each call took.
    pub(crate) waits: Waits,
    /// Charged by the server's count, though no caller was told so.
    pub(crate) unheard: i64,
    /// Counted by the backend as late or in doubt.
    pub(crate) counted: u64,
    /// Charged beyond once for each call.
    pub(crate) twice: u64,
    /// From the end of the fault to the first answer.
    pub(crate) back_after: Option<Duration>,
}

impl Row {
    /// `executed` is what the server counted that was there in the end, since it `began`.
    pub(crate) fn new(fault: Fault, calls: &[Call], began: &Began, executed: u64, back: Instant, counted: u64) -> Self {
        let lives = [Life::before(calls, began), Life::last(calls, began, executed)];
        let count = |is: fn(&Told) -> bool| calls.iter().filter(|call| is(&call.told)).count();
        let answered = calls.iter().filter(|call| matches!(call.told, Told::Admitted { .. }));
        Self {
            fault,
            admitted: count(|told| matches!(told, Told::Admitted { .. })),
            timed_out: count(|told| matches!(told, Told::TimedOut)),
            unavailable: count(|told| matches!(told, Told::Unavailable)),
            waits: calls.iter().map(|call| call.took).collect(),
            unheard: lives.iter().map(Life::unheard).sum(),
            counted,
            twice: lives.iter().map(Life::twice).sum(),
            back_after: answered.filter_map(|call| call.ended.checked_duration_since(back)).min(),
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, admitted, timed_out, unavailable, waits, unheard, counted, twice, back_after } = self;
        write!(
            f,
            "| {} | {} | {admitted} | {timed_out} | {unavailable} | {} | {unheard} | {counted} | {twice} | {} |",
            fault.name(),
            waits.count(),
            waits.cells(),
            back_cell(*back_after)
        )
    }
}
