//! What clients saw of a phase.

use std::{error::Error, time::Duration};

use traffik::{TraffikBuilder, breaker::BreakerState};

use crate::told::{self, FALLBACK, PRIMARY};

/// The longest that a decision may take, with its retries and the fallback: the app says nothing else.
const BUDGET: Duration = TraffikBuilder::DEFAULT_BACKEND_TIMEOUT;

/// What a busy machine may add to a deadline.
const SLACK: Duration = Duration::from_millis(400);

/// Most are faster by far where nobody is waited for. Some are not, where the machine has other things to do.
const AT_ONCE: Duration = Duration::from_millis(10);

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) decided_by: String,
    pub(super) took: Duration,
}

/// The answers, the fastest first.
pub(super) struct Phase(Vec<Answer>);

pub(super) fn heading() {
    println!(
        "{:<20}  {:>8}  {:>5}  {:>5}  {:>5}  {:>7}  {:>7}  {:>7}  {:>8}  breaker then",
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
            told::name(state)
        );
    }

    pub(super) fn shown_as(self, name: &str, state: BreakerState) -> Self {
        self.show(name, state);
        self
    }

    /// Those that hold whatever becomes of Redis.
    pub(super) fn keeps_its_promises(&self) -> Result<(), Box<dyn Error>> {
        let answered = self.with_status(200) + self.with_status(429);
        ensure(answered == self.0.len(), "there was an answer that is neither a 200 nor a 429")?;
        ensure(self.by(PRIMARY) + self.by(FALLBACK) == self.0.len(), "somebody was told not who decided")?;
        ensure(self.longest() <= BUDGET + SLACK, "somebody waited for longer than he may")
    }

    /// While the breaker is open.
    pub(super) fn is_by_the_fallback_at_once(&self) -> Result<(), Box<dyn Error>> {
        ensure(self.by(FALLBACK) == self.0.len(), "what is left alone decided")?;
        ensure(self.with_status(429) > 0, "the fallback refused nobody")?;
        ensure(self.median() <= AT_ONCE, "what is left alone was waited for")
    }

    /// While all is well. On a machine that has other things to do Redis may be late at times, and the fallback decides.
    pub(super) fn is_by_the_primary(&self) -> Result<(), Box<dyn Error>> {
        ensure(self.by(PRIMARY) > self.0.len() / 2, "Redis is there, and does not decide")?;
        ensure(self.with_status(429) > 0, "Redis refused nobody")
    }

    fn with_status(&self, status: u16) -> usize {
        self.0.iter().filter(|answer| answer.status == status).count()
    }

    fn by(&self, who: &str) -> usize {
        self.0.iter().filter(|answer| answer.decided_by == who).count()
    }

    fn median(&self) -> Duration {
        self.0.get(self.0.len() / 2).map_or(Duration::ZERO, |answer| answer.took)
    }

    fn longest(&self) -> Duration {
        self.0.last().map_or(Duration::ZERO, |answer| answer.took)
    }
}

fn ensure(is_so: bool, otherwise: &str) -> Result<(), Box<dyn Error>> {
    if is_so { Ok(()) } else { Err(otherwise.into()) }
}
