//! The policy of a throttle while its backend does not answer.

use std::sync::Arc;

use traffik_core::{backend::BackendError, clock::AnyClock, decision::Hit};

use super::{
    breaker::{Attempt, BreakerState, CircuitBreaker},
    budget::Budget,
    fallback_backend::FallbackBackend,
    function::Function,
    options::{OnError, PolicyKind},
    retry::Retry,
};
use crate::store::Store;

/// What happens while one backend, the primary, does not answer.
#[derive(Debug)]
pub(crate) struct ErrorPolicy {
    pub(super) kind: PolicyKind,
    pub(super) retry: Retry,
    pub(super) fallback: Option<Arc<FallbackBackend>>,
    pub(super) function: Option<Function>,
    breaker: Option<CircuitBreaker>,
}

impl ErrorPolicy {
    pub(crate) fn new(on_error: OnError, primary: &Store) -> Self {
        let OnError { kind, retry, breaker, fallback, function } = on_error;
        let fallback = fallback.map(|fallback| Arc::new(FallbackBackend::new(fallback, primary)));
        if let Some(breaker) = &breaker {
            breaker.name(primary.label());
        }
        Self { kind, retry, fallback, function, breaker }
    }

    /// Starts an attempt at the primary, if a breaker counts attempts. Returns the fallback instead if the breaker is open.
    #[inline]
    pub(super) fn enter<'p>(&'p self, clock: &'p AnyClock) -> Result<Option<Attempt<'p>>, &'p Arc<FallbackBackend>> {
        match (&self.breaker, &self.fallback) {
            (Some(breaker), Some(fallback)) => breaker.enter_by(clock).map(Some).ok_or(fallback),
            _ => Ok(None),
        }
    }

    pub(super) fn breaker(&self) -> Option<&CircuitBreaker> {
        self.breaker.as_ref()
    }

    /// Returns `true` if the fallback decides about most requests. While the breaker is half-open, only trials ask the primary.
    pub(super) fn fails_over(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| breaker.state() != BreakerState::Closed)
    }

    /// Returns the part of `budget` for the primary.
    pub(super) fn for_primary<'a>(&self, budget: Budget<'a>) -> Budget<'a> {
        let is_last = self.fallback.is_none() && self.function.is_none();
        if is_last { budget } else { budget.but_a_quarter() }
    }

    /// Logs the start of an outage of the primary.
    pub(super) fn log(&self, hits: &[Hit<'_>], error: &BackendError, primary: &Store) {
        let effect = match self.kind {
            PolicyKind::Allow => "requests pass uncounted",
            PolicyKind::Function => "a function decides about requests",
            PolicyKind::Fallback | PolicyKind::Failover => "the fallback decides",
            PolicyKind::Retry | PolicyKind::Refuse => "requests are refused",
            PolicyKind::Raise => "requests are answered with a 500",
        };
        primary.log_outage(|| {
            let uids: Vec<_> = hits.iter().map(|hit| hit.limit.uid()).collect();
            let (backend, namespace) = (primary.label(), primary.namespace());
            tracing::error!(backend, namespace, ?uids, %error, "a backend gives no answer: {effect}");
        });
    }

    pub(crate) async fn reset(&self, hits: &[Hit<'_>]) -> Result<(), BackendError> {
        let Some(fallback) = &self.fallback else { return Ok(()) };
        fallback.store.reset(hits).await
    }

    pub(crate) async fn clear(&self) -> Result<(), BackendError> {
        let Some(fallback) = &self.fallback else { return Ok(()) };
        fallback.clear().await
    }

    pub(crate) async fn close(&self) -> Result<(), BackendError> {
        let Some(fallback) = &self.fallback else { return Ok(()) };
        fallback.store.close().await
    }
}
