use std::{pin::Pin, sync::Arc};

use traffik_core::{backend::BackendError, decision::Outcome};

use crate::{
    engine::{Check, CheckResult, Checks, Error, Failed, KeptCheck, Limits, decide, put_in_force},
    limit::{ConfigError, changes::Changes},
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
            Ok(checks) => decide(checks).await,
            Err(refusal) => Ok(refusal),
        }
    }

    /// Refuses a caller that finds no place in the line, as the limits stand. Nothing is charged.
    pub(super) async fn refuse(&self) -> CheckResult {
        let checks = match self.checks() {
            Ok(checks) => checks,
            Err(refusal) => return Ok(refusal),
        };
        let peeked = match checks.store() {
            Ok(Some(store)) => checks.hits().as_ref().peek(store).await.map_err(Error::from),
            Ok(None) => return decide(checks).await,
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
}

impl Demand {
    /// The decision about it once the app is closed.
    pub(super) fn closed(&self) -> CheckResult {
        Err(self.failed(BackendError::Closed))
    }
}
