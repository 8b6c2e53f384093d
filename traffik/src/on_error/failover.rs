//! A fallback, and a breaker before the backend that it stands in for.

use traffik_core::backend::BackendError;

use super::{Failover, Retry, spare::Spare};
use crate::{
    on_error::breaker::{Attempt, BreakerState, CircuitBreaker},
    store::Store,
};

/// A [`Failover`] at work.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) spare: Spare,
    pub(super) breaker: CircuitBreaker,
    pub(super) retry: Retry,
}

impl Guarded {
    pub(super) fn new(failover: Failover, first: &Store) -> Self {
        let Failover { fallback, breaker, retry } = failover;
        Self { spare: Spare::new(fallback, first), breaker, retry }
    }

    /// Whether the fallback decides about most requests: while it is half-open too, but for the trials.
    pub(super) fn fails_over(&self) -> bool {
        self.breaker.state() != BreakerState::Closed
    }
}

/// Tells the breaker that the first backend answered.
pub(super) fn succeeded(attempt: Attempt<'_>, store: &Store) {
    if attempt.closes() {
        tracing::info!(backend = store.namespace(), "the backend answers, and decides again");
    }
}

/// Tells the breaker that the first backend gave no answer.
pub(super) fn failed(attempt: Attempt<'_>, store: &Store, error: &BackendError) {
    if attempt.opens() {
        tracing::error!(backend = store.namespace(), %error, "the backend failed too often, and is left alone");
    }
}
