//! A fallback, and a breaker in front of the backend that it stands in for.

use std::sync::Arc;

use traffik_core::backend::BackendError;

use super::{
    Failover, FallbackBackend, Retry,
    breaker::{Attempt, BreakerState, CircuitBreaker},
};
use crate::store::Store;

/// A [`Failover`] at work.
#[derive(Debug)]
pub(super) struct FailoverBackend {
    pub(super) fallback: Arc<FallbackBackend>,
    pub(super) breaker: CircuitBreaker,
    pub(super) retry: Retry,
}

impl FailoverBackend {
    pub(super) fn new(failover: Failover, primary: &Store) -> Self {
        let Failover { fallback, breaker, retry } = failover;
        Self { fallback: Arc::new(FallbackBackend::new(fallback, primary)), breaker, retry }
    }

    /// Whether the fallback decides about most requests. While the breaker is half-open, only trials ask the primary.
    pub(super) fn fails_over(&self) -> bool {
        self.breaker.state() != BreakerState::Closed
    }
}

/// Tells the breaker that the primary answered.
pub(super) fn succeeded(attempt: Attempt<'_>, store: &Store) {
    if attempt.closes() {
        tracing::info!(backend = store.namespace(), "the backend answers, and decides again");
    }
}

/// Tells the breaker that the primary did not answer.
pub(super) fn failed(attempt: Attempt<'_>, store: &Store, error: &BackendError) {
    if attempt.opens() {
        tracing::error!(backend = store.namespace(), %error, "the backend failed too often, and is left alone");
    }
}
