//! What a waiter waits for, and what it receives.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use smallvec::SmallVec;
use traffik_core::{backend::BackendError, client::Client, clock::Timestamp, decision::Outcome};

use crate::{
    engine::{Change, Check, CheckResult, Checks, Error, Failed, KeptCheck, Limit, Limits, decide, put_in_force},
    limit::{BackendIndex, ConfigError, changes::Changes},
    one_or_more::OneOrMore,
    store::Store,
};

type Asking = Pin<Box<dyn Future<Output = CheckResult> + Send>>;

/// What a waiter waits for.
pub(crate) struct Demand {
    /// As they are without the changes of the app.
    checks: OneOrMore<KeptCheck>,
    changes: Arc<Changes>,
    /// Asks about more than the checks, if there is more.
    ask: Option<Box<dyn Fn() -> Asking + Send + Sync>>,
}

impl Demand {
    pub(crate) fn new(checks: &Checks<'_>, changes: &Arc<Changes>) -> Self {
        Self { checks: checks.map(Check::kept), changes: Arc::clone(changes), ask: None }
    }

    /// Sets a function that asks about the checks and about more.
    #[cfg(feature = "ws")]
    pub(crate) fn asking<F, Fut>(self, ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = CheckResult> + Send + 'static,
    {
        Self { ask: Some(Box::new(move || Box::pin(ask()))), ..self }
    }

    /// Returns the checks with the changes that are in force now, or the refusal of a client that is blocked.
    fn checks(&self) -> Result<Checks<'_>, Limits> {
        let mut checks = self.checks.map(KeptCheck::check);
        let live = self.changes.live();
        live.and_then(|live| put_in_force(&live, &self.changes, &mut checks)).map_or(Ok(checks), Err)
    }

    pub(super) fn kept(&self) -> impl Iterator<Item = &KeptCheck> {
        self.checks.iter()
    }

    /// Returns the failure of a decision about it.
    pub(super) fn failed(&self, error: impl Into<Error>) -> Box<Failed> {
        Failed::new(error, &self.checks.map(KeptCheck::check))
    }

    /// Returns `true` if a store is asked about the checks.
    #[cfg(feature = "ws")]
    pub(crate) fn is_counted(&self) -> bool {
        self.checks().is_ok_and(|checks| checks.iter().any(Check::is_counted))
    }

    /// Returns the store to wait for. `None` if nothing is waited for: the client is blocked, nothing is counted, or all of it is
    /// in a dry run.
    pub(super) fn store(&self) -> Result<Option<Arc<Store>>, ConfigError> {
        let Ok(checks) = self.checks() else { return Ok(None) };
        Ok(checks.store()?.filter(|_| !checks.are_in_dry_run()).cloned())
    }

    /// Returns `true` if a refusal of one is a refusal of the other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let is_like = self.kept().zip(other.kept()).all(|(one, other)| one.costs_the_same(other));
        is_like && self.ask.is_none() && other.ask.is_none()
    }

    /// Asks the store.
    pub(super) fn ask(self: &Arc<Self>) -> Asking {
        if let Some(ask) = &self.ask {
            return ask();
        }
        let demand = Arc::clone(self);
        Box::pin(async move { demand.decide().await })
    }

    async fn decide(&self) -> CheckResult {
        match self.checks() {
            Ok(mut checks) => decide(&mut checks).await,
            Err(refusal) => Ok(refusal),
        }
    }

    /// Refuses a caller that finds no place in the line, as the limits stand. Nothing is charged.
    pub(super) async fn refuse(&self) -> CheckResult {
        let mut checks = match self.checks() {
            Ok(checks) => checks,
            Err(refusal) => return Ok(refusal),
        };
        let peeked = match checks.store() {
            Ok(Some(store)) => checks.hits().as_ref().peek(store).await.map_err(Error::from),
            Ok(None) => return decide(&mut checks).await,
            Err(error) => Err(error.into()),
        };
        if matches!(&peeked, Err(Error::Backend(error)) if !matches!(error, BackendError::Closed)) {
            // The error policy decides, as about a check that does not wait.
            return self.decide().await;
        }
        let mut decided = peeked.map_err(|error| self.failed(error))?;
        if decided.decision.is_admitted() {
            // There is room, which is for those in the line.
            let refused = |outcome: Outcome| {
                let mut outcome = outcome;
                outcome.admitted &= !outcome.enforced;
                outcome
            };
            decided.decision = decided.decision.take_outcomes().map(refused).collect();
        }
        Ok(Limits::peeked(checks, decided))
    }

    /// The decision about it once the app is closed.
    pub(super) fn closed(&self) -> CheckResult {
        Err(self.failed(BackendError::Closed))
    }
}

/// The throttles and the client of a line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LineKey {
    parts: SmallVec<[Part; 1]>,
    is_outgoing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Part {
    /// The number of the limit. One that replaces another has another line.
    limit: u64,
    client: Client,
    backend: BackendIndex,
}

impl LineKey {
    pub(super) fn new(demand: &Demand, is_outgoing: bool) -> Self {
        let part = |check: &KeptCheck| Part {
            limit: check.definition.limit.number(),
            client: check.client.clone(),
            backend: check.backend,
        };
        Self { parts: demand.kept().map(part).collect(), is_outgoing }
    }
}

/// How often the head is asked for while it may have room at any time, because another process gives back a permit.
const POLL: Duration = Duration::from_millis(250);

/// The result for a waiter.
pub(super) enum Turn {
    Decided(Handover),
    /// Its turn would come too late.
    TooLate,
    /// Its time is over, and there was no decision about those before it. It asks like a request that does not wait.
    Over,
    HeldBack(HeldBack),
    Panicked(Box<dyn Any + Send>),
}

/// The line is held back for longer than the caller waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeldBack {
    pub(crate) until: Timestamp,
    /// When the caller learned of it.
    pub(crate) now: Timestamp,
}

/// A decision on its way to its waiter. If it is not received, its charges are given back.
pub(super) struct Handover(Option<CheckResult>);

impl Handover {
    pub(super) fn new(decision: CheckResult) -> Self {
        Self(Some(decision))
    }

    pub(super) fn receive(mut self) -> CheckResult {
        // It is received once.
        self.0.take().unwrap_or_else(|| Err(Error::from(BackendError::Closed).into()))
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        if let Some(Ok(limits)) = self.0.take() {
            if limits.is_admitted() {
                // It has started, and no caller waits for the result.
                // A panic of a custom strategy is not one of the line.
                let give_back = || limits.shared().for_each(|limit| drop(Limit::change(limit, Change::GiveBack)));
                let _ = catch_unwind(AssertUnwindSafe(give_back));
            }
        }
    }
}

/// When there may be room after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// There is none before this time has passed, unless a charge is given back.
    pub(super) not_before: Duration,
    pub(super) ask_in: Duration,
}

/// Returns when there may be room for what was refused, or `None` if it never fits.
///
/// A permit of `Concurrency` may be given back at any time, so its `retry_after` is no more than an estimate.
pub(super) fn until_room(limits: &Limits) -> Option<Room> {
    let mut room = Room { not_before: Duration::ZERO, ask_in: Duration::ZERO };
    let mut poll = Duration::ZERO;
    for limit in limits.iter().filter(|limit| !limit.is_admitted()) {
        let wait = limit.retry_after()?;
        if limit.definition().is_held {
            poll = poll.max(wait.min(POLL));
        } else {
            room.not_before = room.not_before.max(wait);
        }
    }
    // Time passes, so that a store with a wrong answer is not asked without a pause.
    room.ask_in = room.not_before.max(poll).max(Duration::from_micros(1));
    Some(room)
}
