use std::{pin::Pin, sync::Arc};

use traffik_core::{backend::BackendError, decision::Outcome};

use crate::{
    engine::{Check, CheckResult, Checks, Error, Failed, KeptCheck, Limits, decide},
    limit::ConfigError,
    one_or_more::OneOrMore,
    store::Store,
};

type Asking = Pin<Box<dyn Future<Output = CheckResult> + Send>>;

/// What a waiter waits for.
pub(crate) struct Demand {
    checks: OneOrMore<KeptCheck>,
    /// Asks about more than the checks, if there is more.
    ask: Option<Box<dyn Fn() -> Asking + Send + Sync>>,
}

impl Demand {
    pub(crate) fn new(checks: &Checks<'_>) -> Self {
        Self { checks: checks.map(Check::kept), ask: None }
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

    pub(crate) fn checks(&self) -> Checks<'_> {
        self.checks.map(KeptCheck::check)
    }

    pub(super) fn kept(&self) -> impl Iterator<Item = &KeptCheck> {
        self.checks.iter()
    }

    /// Returns the failure of a decision about it.
    pub(super) fn failed(&self, error: impl Into<Error>) -> Box<Failed> {
        Failed::new(error, &self.checks())
    }

    /// Returns `true` if a store is asked about the checks.
    #[cfg(feature = "ws")]
    pub(crate) fn is_counted(&self) -> bool {
        self.checks().iter().any(Check::is_counted)
    }

    /// Returns the store to wait for. `None` if nothing is waited for: nothing is counted, or all of it is in a dry run.
    pub(super) fn store(&self) -> Result<Option<Arc<Store>>, ConfigError> {
        let checks = self.checks();
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
        Box::pin(async move { decide(demand.checks()).await })
    }

    /// Refuses a caller that finds no place in the line, as the limits stand. Nothing is charged.
    pub(super) async fn refuse(&self) -> CheckResult {
        let checks = self.checks();
        let peeked = match checks.store() {
            Ok(Some(store)) => checks.hits().as_ref().peek(store).await.map_err(Error::from),
            Ok(None) => return decide(checks).await,
            Err(error) => Err(error.into()),
        };
        if matches!(&peeked, Err(Error::Backend(error)) if !matches!(error, BackendError::Closed)) {
            // The error policy decides, as about a check that does not wait.
            return decide(self.checks()).await;
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
