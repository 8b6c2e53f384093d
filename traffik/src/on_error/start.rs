//! Starts a decision in the backend of its throttles.

use traffik_core::backend::{BackendError, MaybeReady};

use super::{
    budget::Budget,
    decided::{Decided, DecidedBy, Undecided},
    policy_hits::PolicyHits,
    waiting::{Step, Waiting, succeeded},
};
use crate::store::Store;

/// A decision that was started.
pub(crate) enum Started<'p> {
    Ready(Result<Decided, Undecided>),
    Waiting(Waiting<'p>),
}

impl<'p> PolicyHits<'_, 'p> {
    /// Starts a decision.
    ///
    /// While the breaker is open, the fallback decides. It knows which clients it refused.
    #[inline(always)]
    pub(crate) fn start(self, store: &'p Store) -> Started<'p> {
        let Some(policy) = self.strictest() else { return Started::Ready(Ok(Decided::nothing())) };
        let waiting = |step| Started::Waiting(Waiting { policy, store, step });
        let attempt = match policy.enter(store.clock()) {
            Ok(attempt) => attempt,
            Err(fallback) => {
                return match fallback.decide(self.hits) {
                    MaybeReady::Ready(Ok(decision)) => {
                        Started::Ready(self.by_fallback(fallback, decision).map_err(Undecided::from))
                    }
                    answer => waiting(Step::Fallback(fallback, answer)),
                };
            }
        };
        if self.may_be_refused() {
            return waiting(Step::Refusals(attempt));
        }
        match store.decide(self.hits) {
            // A decision is large, so it is moved once.
            MaybeReady::Ready(Ok(decision)) if decision.outcomes().len() == self.hits.len() => {
                succeeded(attempt, store);
                Started::Ready(Ok(Decided { decision, by: DecidedBy::Primary }))
            }
            answer => waiting(Step::Primary(attempt, answer)),
        }
    }

    /// Returns what a decision would be, in the backend that would make it now.
    pub(crate) async fn peek(self, store: &Store) -> Result<Decided, BackendError> {
        let Some(policy) = self.strictest() else { return Ok(Decided::nothing()) };
        let budget = Budget::new(store.clock(), store.timeout());
        let primary = async |budget: Budget<'_>| self.by_primary(budget.hold(store.peek(self.hits)).await?);
        let Some(fallback) = &policy.fallback else { return primary(budget).await };
        if policy.fails_over() {
            return self.peek_in(fallback, budget).await;
        }
        if let Some(refusal) = self.still_refused(budget).await {
            return Ok(refusal);
        }
        match primary(budget.but_a_quarter()).await {
            Err(error) if !matches!(error, BackendError::Closed | BackendError::Misconfigured(_)) => {
                self.peek_in(fallback, budget).await
            }
            answer => answer,
        }
    }
}
