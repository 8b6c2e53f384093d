//! A fallback, and a breaker before the backend that it stands in for.

use super::{
    Failover, Retry,
    asking::{ask, ask_now},
    budget::Budget,
    spare::Spare,
};
use crate::{
    app::Asked,
    backend::{BackendError, Store},
    breaker::{Attempt, BreakerState, CircuitBreaker},
    limits::Limits,
    one_or_more::OneOrMore,
};

/// A [`Failover`] at work.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) spare: Spare,
    breaker: CircuitBreaker,
    retry: Retry,
}

impl Guarded {
    pub(super) fn new(failover: Failover, first: &Store) -> Self {
        let Failover { fallback, breaker, retry } = failover;
        Self { spare: Spare::new(fallback, first), breaker, retry }
    }

    /// Whether the fallback decides about all of them.
    pub(super) fn is_open(&self) -> bool {
        self.breaker.state() == BreakerState::Open
    }

    /// Whether the fallback decides about most requests: while it is half-open too, but for the trials.
    pub(super) fn fails_over(&self) -> bool {
        self.breaker.state() != BreakerState::Closed
    }

    /// The same as [`charge`](Self::charge), if that takes no waiting, and nothing fails.
    pub(super) fn charge_now(&self, store: &Store, asked: &OneOrMore<Asked<'_>>) -> Option<Limits> {
        let Some(attempt) = self.breaker.enter_by(store.clock()) else { return self.spare.charge_now(asked) };
        if self.spare.may_refuse(asked) {
            return None;
        }
        let limits = ask_now(store, asked)?;
        succeeded(attempt, store);
        Some(limits)
    }

    /// Asks the first backend, where the breaker lets it be asked, and else the other.
    ///
    /// If the request is given up meanwhile, the breaker gets its leave back. What was charged stays so.
    pub(super) async fn charge(
        &self,
        store: &Store,
        asked: &OneOrMore<Asked<'_>>,
        budget: Budget<'_>,
        failed: impl FnOnce(&BackendError),
    ) -> Result<Limits, BackendError> {
        let Some(attempt) = self.breaker.enter_by(budget.clock) else { return self.spare.charge(asked, budget).await };
        match ask(store, asked, self.retry, budget.but_a_quarter()).await {
            Ok(limits) => {
                succeeded(attempt, store);
                Ok(limits)
            }
            Err(BackendError::Closed) => Err(BackendError::Closed),
            Err(error) => {
                if attempt.opens() {
                    tracing::error!(backend = store.namespace(), %error, "the backend failed too often, and is left alone");
                }
                failed(&error);
                self.spare.charge(asked, budget).await
            }
        }
    }
}

fn succeeded(attempt: Attempt<'_>, store: &Store) {
    if attempt.closes() {
        tracing::info!(backend = store.namespace(), "the backend answers, and decides again");
    }
}
