//! Decides the arrivals with a backend, on a clock that is moved by hand.

use std::{ops::Range, time::Duration};

use traffik::{
    MemoryBackend,
    backend::{Backend, BackendError},
    client::Key,
    decision::{Decision, Hit, LimitId, LimitStatus},
    strategy::AnyStrategy,
    test::ManualClock,
};

use super::arrivals::{self, RATE, SPAN};

/// How often the limit is read.
const TICK: Duration = Duration::from_millis(100);

/// One client's requests, and what remained of its limit.
pub(super) struct Course {
    pub(super) requests: Vec<Request>,
    /// What remained from each time on: a pair for every change.
    pub(super) remaining: Vec<(Duration, u64)>,
}

/// A request that was decided.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) at: Duration,
    pub(super) admitted: bool,
    /// How long it is held before it leaves, if it is admitted.
    pub(super) delay: Duration,
}

impl Course {
    /// Decides every arrival, and records what remains.
    pub(super) async fn run(strategy: &AnyStrategy) -> Result<Self, BackendError> {
        let clock = ManualClock::new();
        let backend = MemoryBackend::with_clock("pictures", clock.clone());
        let (limit, key) = (LimitId::new("picture", strategy.clone()), Key::from("client"));
        let hit = [Hit::new(&limit, &key, RATE, 1)];
        let remaining = |decision: &Decision| {
            let standings = decision.outcomes().iter().map(|outcome| LimitStatus::new(strategy, RATE, outcome));
            standings.map(|standing| standing.remaining().units().unwrap_or(u64::MAX)).min().unwrap_or_default()
        };

        let mut course = Self { requests: Vec::new(), remaining: Vec::new() };
        let mut arrivals = arrivals::all().peekable();
        let mut now = SPAN.start;
        clock.advance(now);
        while now < SPAN.end {
            while let Some(at) = arrivals.next_if(|&at| at <= now) {
                let decision = backend.decide(&hit).await?;
                let delays =
                    decision.outcomes().iter().map(|outcome| LimitStatus::new(strategy, RATE, outcome).delay());
                let delay = delays.max().unwrap_or_default();
                course.requests.push(Request { at, admitted: decision.is_admitted(), delay });
            }
            course.note(now, remaining(&backend.peek(&hit).await?));
            clock.advance(TICK);
            now += TICK;
        }
        Ok(course)
    }

    fn note(&mut self, now: Duration, remaining: u64) {
        if self.remaining.last().is_none_or(|&(_, last)| last != remaining) {
            self.remaining.push((now, remaining));
        }
    }

    /// Returns the most that ever remained: the size of the limit.
    pub(super) fn capacity(&self) -> u64 {
        self.remaining.iter().map(|&(_, remaining)| remaining).max().unwrap_or_default()
    }

    pub(super) fn admitted(&self) -> usize {
        self.admitted_in(&SPAN)
    }

    pub(super) fn admitted_in(&self, span: &Range<Duration>) -> usize {
        self.requests.iter().filter(|request| request.admitted && span.contains(&request.at)).count()
    }

    /// Returns the longest delay of a request, or `None` if no request is held.
    pub(super) fn longest_delay(&self) -> Option<Duration> {
        self.requests.iter().map(|request| request.delay).max().filter(|&longest| longest > Duration::ZERO)
    }

    /// Returns the most requests admitted in any span of this length.
    pub(super) fn most_in(&self, length: Duration) -> usize {
        let spans = self.requests.iter().map(|request| request.at..request.at + length);
        spans.map(|span| self.admitted_in(&span)).max().unwrap_or_default()
    }
}
