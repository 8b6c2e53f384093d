//! The responses of one phase of the demo.

use std::{error::Error, time::Duration};

use traffik::{TraffikBuilder, breaker::BreakerState};

use crate::decided_by::{self, FALLBACK, PRIMARY};

/// The deadline of a decision, with its retries and the fallback: the default.
const BUDGET: Duration = TraffikBuilder::DEFAULT_BACKEND_TIMEOUT;

/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_millis(400);

/// The maximum of the median while no request waits for Redis. Most are much faster; on a busy machine some are not.
const WITHOUT_WAITING: Duration = Duration::from_millis(10);

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) decided_by: String,
    pub(super) took: Duration,
}

/// The responses, the fastest first.
pub(super) struct Phase(Vec<Answer>);

pub(super) fn heading() {
    println!(
        "{:<20}  {:>8}  {:>5}  {:>5}  {:>5}  {:>7}  {:>7}  {:>7}  {:>8}  breaker",
        "", "requests", "200", "429", "other", "median", "longest", "primary", "fallback"
    );
}

impl Phase {
    pub(super) fn new(mut answers: Vec<Answer>) -> Self {
        answers.sort_by_key(|answer| answer.took);
        Self(answers)
    }

    pub(super) fn show(&self, name: &str, state: BreakerState) {
        let (all, admitted, refused) = (self.0.len(), self.with_status(200), self.with_status(429));
        let (median, longest) = (format!("{:.1?}", self.median()), format!("{:.1?}", self.longest()));
        println!(
            "{name:<20}  {all:>8}  {admitted:>5}  {refused:>5}  {:>5}  {median:>7}  {longest:>7}  {:>7}  {:>8}  {}",
            all - admitted - refused,
            self.by(PRIMARY),
            self.by(FALLBACK),
            decided_by::name(state)
        );
    }

    pub(super) fn shown_as(self, name: &str, state: BreakerState) -> Self {
        self.show(name, state);
        self
    }

    /// Checks what holds in every phase.
    pub(super) fn keeps_its_promises(&self) -> Result<(), Box<dyn Error>> {
        let answered = self.with_status(200) + self.with_status(429);
        ensure(answered == self.0.len(), "a response is neither a 200 nor a 429")?;
        ensure(self.by(PRIMARY) + self.by(FALLBACK) == self.0.len(), "a response does not name the backend")?;
        ensure(self.longest() <= BUDGET + SLACK, "a request waited for longer than the deadline")
    }

    /// Checks what holds while the breaker is open.
    pub(super) fn is_by_the_fallback(&self) -> Result<(), Box<dyn Error>> {
        ensure(self.by(FALLBACK) == self.0.len(), "Redis decided while the breaker was open")?;
        ensure(self.with_status(429) > 0, "the fallback refused no request")?;
        ensure(self.median() <= WITHOUT_WAITING, "requests waited for Redis while the breaker was open")
    }

    /// Checks what holds while Redis is up. On a busy machine Redis may be late at times, and the fallback decides.
    pub(super) fn is_by_the_primary(&self) -> Result<(), Box<dyn Error>> {
        ensure(self.by(PRIMARY) > self.0.len() / 2, "Redis is up, and does not decide")?;
        ensure(self.with_status(429) > 0, "Redis refused no request")
    }

    fn with_status(&self, status: u16) -> usize {
        self.0.iter().filter(|answer| answer.status == status).count()
    }

    fn by(&self, backend: &str) -> usize {
        self.0.iter().filter(|answer| answer.decided_by == backend).count()
    }

    fn median(&self) -> Duration {
        self.0.get(self.0.len() / 2).map_or(Duration::ZERO, |answer| answer.took)
    }

    fn longest(&self) -> Duration {
        self.0.last().map_or(Duration::ZERO, |answer| answer.took)
    }
}

fn ensure(condition: bool, message: &str) -> Result<(), Box<dyn Error>> {
    if condition { Ok(()) } else { Err(message.into()) }
}
