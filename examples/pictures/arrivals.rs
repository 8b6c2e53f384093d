//! The arrivals of the requests, which are the same for every strategy.

use std::{ops::Range, time::Duration};

use traffik::Rate;

pub(super) const RATE: Rate = Rate::literal("10/min");

/// The time span of the pictures. Windows end at whole minutes, so the first one is drawn from its middle on.
pub(super) const SPAN: Range<Duration> = Duration::from_secs(30)..Duration::from_secs(240);

/// A number of evenly spaced requests, the first at `start`.
pub(super) struct Phase {
    pub(super) label: &'static str,
    pub(super) start: Duration,
    pub(super) count: u32,
    pub(super) every: Duration,
}

/// A pause; a burst, half of it just before a window ends and half just after; twice the rate for a while; a pause; a last
/// burst.
pub(super) const PHASES: [Phase; 3] = [
    phase("20 around an edge", 57_000, 20, 300),
    phase("one every 3 s, twice the rate", 81_000, 27, 3_000),
    phase("10 after a rest", 210_000, 10, 300),
];

const fn phase(label: &'static str, start: u64, count: u32, every: u64) -> Phase {
    Phase { label, start: Duration::from_millis(start), count, every: Duration::from_millis(every) }
}

impl Phase {
    pub(super) fn middle(&self) -> Duration {
        self.start + self.every * self.count / 2
    }

    fn arrivals(&self) -> impl Iterator<Item = Duration> + '_ {
        (0..self.count).map(|i| self.start + self.every * i)
    }
}

/// Returns every arrival, the earliest first.
pub(super) fn all() -> impl Iterator<Item = Duration> {
    PHASES.iter().flat_map(Phase::arrivals)
}

/// Returns the windows of the rate within the span.
pub(super) fn windows() -> impl Iterator<Item = Range<Duration>> {
    let starts = (0..).map(|i| RATE.period() * i).take_while(|&start| start < SPAN.end);
    starts.map(|start| start.max(SPAN.start)..(start + RATE.period()).min(SPAN.end)).filter(|window| !window.is_empty())
}
