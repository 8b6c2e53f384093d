//! What a fault came to.

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::{
    calls::{Call, Told},
    life::Life,
    site::Began,
};

pub(crate) const HEAD: &str = "| fault | calls | admitted | timeouts | unavailable | p50, ms | p99, ms | longest, ms \
                               | charged unheard | late or in doubt | twice | back after, ms |\n\
                               |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

pub(crate) struct Row {
    fault: &'static str,
    admitted: usize,
    timed_out: usize,
    unavailable: usize,
    /// How long each call took, in order.
    waits: Vec<Duration>,
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
    pub(crate) fn new(
        fault: &'static str,
        calls: &[Call],
        began: &Began,
        executed: u64,
        back: Instant,
        counted: u64,
    ) -> Self {
        let lives = [Life::before(calls, began), Life::last(calls, began, executed)];
        let count = |is: fn(&Told) -> bool| calls.iter().filter(|call| is(&call.told)).count();
        let answered = calls.iter().filter(|call| matches!(call.told, Told::Admitted { .. }));
        let mut waits: Vec<_> = calls.iter().map(|call| call.took).collect();
        waits.sort_unstable();
        Self {
            fault,
            admitted: count(|told| matches!(told, Told::Admitted { .. })),
            timed_out: count(|told| matches!(told, Told::TimedOut)),
            unavailable: count(|told| matches!(told, Told::Unavailable)),
            waits,
            unheard: lives.iter().map(Life::unheard).sum(),
            counted,
            twice: lives.iter().map(Life::twice).sum(),
            back_after: answered.filter_map(|call| call.ended.checked_duration_since(back)).min(),
        }
    }

    pub(crate) fn longest_wait(&self) -> Duration {
        self.waits.last().copied().unwrap_or_default()
    }

    /// What so many of a hundred did not wait longer than.
    fn wait_of(&self, percent: usize) -> Duration {
        let last = self.waits.len().saturating_sub(1);
        self.waits.get(last * percent / 100).copied().unwrap_or_default()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, admitted, timed_out, unavailable, waits, unheard, counted, twice, back_after } = self;
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let (half, most, longest) = (millis(self.wait_of(50)), millis(self.wait_of(99)), millis(self.longest_wait()));
        let back_after = back_after.map_or_else(|| "never".to_owned(), |after| format!("{:.0}", millis(after)));
        write!(
            f,
            "| {fault} | {} | {admitted} | {timed_out} | {unavailable} | {half:.1} | {most:.1} | {longest:.1} | {unheard} \
             | {counted} | {twice} | {back_after} |",
            waits.len()
        )
    }
}
