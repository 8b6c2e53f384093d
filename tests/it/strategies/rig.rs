//! One limit of one client in a memory backend, on a clock that the test sets.

use tests::limit;
use traffik::{
    Rate,
    backend::{AdjustmentError, Backend, BackendError, MemoryBackend},
    client::Key,
    clock::{Clock, Timestamp},
    decision::{Charge, Decision, Hit, LimitStatus, Outcome},
    strategy::{AnyStrategy, SettleError},
    test::ManualClock,
};

use crate::model::Answer;

type Result<T> = std::result::Result<T, BackendError>;

pub(super) struct Rig {
    pub(super) strategy: AnyStrategy,
    pub(super) backend: MemoryBackend,
    clock: ManualClock,
    key: Key,
}

impl Rig {
    pub(super) fn new(strategy: AnyStrategy, now: u64) -> Self {
        let clock = ManualClock::at(Timestamp::from_micros(now));
        let backend = MemoryBackend::with_clock("test", clock.clone());
        Self { strategy, backend, clock, key: Key::from("alice") }
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.now().as_micros()
    }

    /// Sets the clock, which may go back.
    pub(super) fn go_to(&self, now: u64) {
        self.clock.set(Timestamp::from_micros(now));
    }

    fn hit(&self, rate: Rate, cost: u64) -> Hit<'_> {
        Hit::new(limit("limit", &self.strategy), &self.key, rate, cost)
    }

    pub(super) async fn decide(&self, rate: Rate, cost: u64) -> Result<Outcome> {
        single(&self.backend.decide(&[self.hit(rate, cost)]).await?)
    }

    pub(super) async fn peek(&self, rate: Rate, cost: u64) -> Result<Outcome> {
        single(&self.backend.peek(&[self.hit(rate, cost)]).await?)
    }

    pub(super) async fn refund(&self, rate: Rate, charged: &Outcome) -> Result<()> {
        self.settle(rate, charged, 0).await.map(drop)
    }

    pub(super) async fn settle(
        &self,
        rate: Rate,
        charged: &Outcome,
        actual: u64,
    ) -> Result<std::result::Result<Outcome, SettleError>> {
        let charge = Charge::new(self.hit(rate, charged.cost), charged.at);
        match self.backend.adjust(&[charge.settle(actual)]).await?.pop() {
            Some(Ok(outcome)) => Ok(Ok(outcome)),
            Some(Err(AdjustmentError::Strategy(error))) => Ok(Err(error)),
            Some(Err(error)) => Err(BackendError::unavailable(error)),
            None => Err(BackendError::unavailable("no outcome of an adjustment")),
        }
    }

    /// Returns the time of the renewed charge.
    pub(super) async fn renew(&self, rate: Rate, cost: u64, charged_at: Timestamp) -> Result<Option<Timestamp>> {
        let renewed = self.backend.renew(&[Charge::new(self.hit(rate, cost), charged_at)]).await?;
        Ok(renewed.into_iter().flatten().next())
    }

    pub(super) fn standing<'a>(&'a self, rate: Rate, outcome: &'a Outcome) -> LimitStatus<'a> {
        LimitStatus::new(&self.strategy, rate, outcome)
    }

    pub(super) fn answer(&self, rate: Rate, outcome: &Outcome) -> Answer {
        let standing = self.standing(rate, outcome);
        Answer {
            admitted: outcome.admitted,
            remaining: standing.remaining().units().unwrap_or(u64::MAX),
            retry_after: standing.retry_after(),
            more_after: standing.more_after(),
            reset_after: standing.reset_after(),
            is_never_possible: standing.is_never_possible(),
        }
    }

    pub(super) async fn remaining(&self, rate: Rate) -> Result<u64> {
        Ok(self.standing(rate, &self.peek(rate, 1).await?).remaining().units().unwrap_or(u64::MAX))
    }
}

fn single(decision: &Decision) -> Result<Outcome> {
    match decision.outcomes() {
        [outcome] => Ok(outcome.clone()),
        other => Err(BackendError::unavailable(format!("{} outcomes for one hit", other.len()))),
    }
}

/// Returns a wait in microseconds.
pub(super) fn micros(wait: std::time::Duration) -> u64 {
    u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)
}
