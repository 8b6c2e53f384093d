//! The effect of a fault on clients.

use std::{
    fmt,
    time::{Duration, Instant},
};

use super::client::Answer;
use crate::{
    decided_by::{FALLBACK, PRIMARY},
    faults::Fault,
    waits::{Waits, back_cell, millis},
};

pub(crate) const HEAD: &str = "| fault | requests | 200 | 429 | other | by the fallback | p50, ms | p99, ms | longest, ms \
                               | p50 while open, ms | primary again after, ms | stalls, ms |\n\
                               |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

pub(crate) struct Row {
    pub(super) fault: Fault,
    admitted: usize,
    refused: usize,
    /// Other statuses, and lost requests.
    pub(super) other: usize,
    pub(super) by_fallback: usize,
    pub(super) waits: Waits,
    /// The waits of requests while the breaker was open or half-open, until the end of the fault.
    pub(super) waits_while_open: Waits,
    /// The time from the end of the fault to the first decision of the primary.
    pub(super) back_after: Option<Duration>,
    /// Whether the breaker closed after that.
    pub(super) closed_again: bool,
    /// The time during which the machine ran no thread of the program.
    pub(super) stalls: Duration,
}

impl Row {
    pub(super) fn new(fault: Fault, answers: &[Answer], back: Instant, stalls: Duration) -> Self {
        let with = |status| answers.iter().filter(|answer| answer.status() == Some(status)).count();
        let (admitted, refused) = (with(200), with(429));
        let while_open = answers.iter().filter(|answer| answer.while_open && answer.asked < back);
        // Requests that were sent before were decided before, even if their responses arrive now.
        let by_primary = answers.iter().filter(|answer| answer.decided_by() == Some(PRIMARY) && answer.asked >= back);
        let closed_again = by_primary.clone().any(|answer| !answer.while_open);
        Self {
            fault,
            admitted,
            refused,
            other: answers.len() - admitted - refused,
            by_fallback: answers.iter().filter(|answer| answer.decided_by() == Some(FALLBACK)).count(),
            waits: answers.iter().map(|answer| answer.took).collect(),
            waits_while_open: while_open.map(|answer| answer.took).collect(),
            back_after: by_primary.map(|answer| answer.asked + answer.took - back).min(),
            closed_again,
            stalls,
        }
    }
}

impl Answer {
    fn status(&self) -> Option<u16> {
        self.reply.as_ref().map(|reply| reply.status)
    }

    fn decided_by(&self) -> Option<&'static str> {
        self.reply.as_ref()?.decided_by
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, admitted, refused, other, by_fallback, waits, waits_while_open, back_after, stalls, .. } =
            self;
        let half =
            waits_while_open.of_percent(50).map_or_else(|| "-".to_owned(), |half| format!("{:.1}", millis(half)));
        write!(
            f,
            "| {} | {} | {admitted} | {refused} | {other} | {by_fallback} | {} | {half} | {} | {:.0} |",
            fault.name(),
            waits.count(),
            waits.cells(),
            back_cell(*back_after),
            millis(*stalls)
        )
    }
}
