//! Receives a decision, or does what the policy says if there is none.

use std::{sync::Arc, time::Duration};

use traffik_core::{
    backend::{Answer, BackendError},
    decision::{Decision, Hit},
};

use super::{
    breaker::Attempt,
    budget::Budget,
    decided::{Decided, Undecided},
    fallback_backend::FallbackBackend,
    function::{Failure, Function, Resolution},
    options::PolicyKind,
    policy::ErrorPolicy,
    policy_hits::PolicyHits,
};
use crate::store::Store;

/// A decision that was started and waits.
pub(crate) struct Waiting<'p> {
    pub(super) policy: &'p ErrorPolicy,
    pub(super) store: &'p Store,
    pub(super) step: Step<'p>,
}

/// What a decision waits for.
pub(super) enum Step<'p> {
    /// The primary was asked.
    Primary(Option<Attempt<'p>>, Answer<'p, Decision>),
    /// The fallback has to be asked first whether it still refuses.
    Refusals(Option<Attempt<'p>>),
    /// The fallback was asked.
    Fallback(&'p Arc<FallbackBackend>, Answer<'p, Decision>),
}

/// A decision that waits, and what it is about.
#[derive(Clone, Copy)]
struct Asking<'a> {
    asked: PolicyHits<'a, 'a>,
    policy: &'a ErrorPolicy,
    store: &'a Store,
    budget: Budget<'a>,
}

impl Waiting<'_> {
    /// Receives the decision, or does what the policy says if there is none. `asked` is what the decision was started with.
    ///
    /// If the request is cancelled meanwhile, the breaker does not learn the result of its attempt, and a charge stays.
    pub(crate) async fn finish(self, asked: PolicyHits<'_, '_>) -> Result<Decided, Undecided> {
        let Self { policy, store, step } = self;
        let budget = Budget::new(store.clock(), store.timeout());
        let (attempt, first) = match step {
            Step::Primary(attempt, answer) => (attempt, answer),
            Step::Refusals(attempt) => {
                if let Some(refusal) = asked.still_refused(budget).await {
                    return Ok(refusal);
                }
                (attempt, store.decide(asked.hits))
            }
            Step::Fallback(fallback, answer) => return Ok(asked.receive(fallback, answer, budget).await?),
        };
        let asking = Asking { asked, policy, store, budget };
        match asking.receive(first).await {
            Ok(decided) => {
                succeeded(attempt, store);
                Ok(decided)
            }
            // No failure of the store.
            Err(error @ (BackendError::Closed | BackendError::Misconfigured(_))) => {
                store.failed(&error);
                Err(error.into())
            }
            Err(error) => {
                failed(attempt, store, &error);
                asking.resolve(error).await
            }
        }
    }
}

/// Records that the primary answered, and reports it to the breaker.
#[inline]
pub(super) fn succeeded(attempt: Option<Attempt<'_>>, store: &Store) {
    store.answered();
    if attempt.is_some_and(Attempt::closes) {
        tracing::info!(
            backend = store.namespace(),
            "the backend answers again, so the circuit breaker closed: the backend decides"
        );
    }
}

/// Records that the primary did not answer, and reports it to the breaker.
#[cold]
pub(super) fn failed(attempt: Option<Attempt<'_>>, store: &Store, error: &BackendError) {
    store.failed(error);
    if attempt.is_some_and(Attempt::opens) {
        tracing::error!(
            backend = store.namespace(),
            %error,
            "the backend failed too often, so the circuit breaker opened: the fallback decides"
        );
    }
}

impl Asking<'_> {
    /// Asks the primary until there is an answer, an attempt that may have run, or no time left for another one.
    async fn receive(self, mut answer: Answer<'_, Decision>) -> Result<Decided, BackendError> {
        let budget = self.policy.for_primary(self.budget);
        let mut pauses = self.policy.retry.pauses();
        let attempts = async {
            loop {
                match answer.await {
                    Err(error @ BackendError::NotRun(_)) => {
                        match pauses.next().filter(|pause| *pause < budget.left()) {
                            Some(pause) => budget.clock.sleep(pause).await,
                            None => return Err(error),
                        }
                    }
                    decision => return self.asked.by_primary(decision?),
                }
                answer = self.store.decide(self.asked.hits);
            }
        };
        budget.hold(attempts).await
    }

    /// Does what the policy says about an error of the primary.
    async fn resolve(self, error: BackendError) -> Result<Decided, Undecided> {
        let Self { asked, policy, budget, .. } = self;
        policy.log(asked.hits, &error, self.store);
        if let Some(fallback) = &policy.fallback {
            return Ok(asked.receive(fallback, fallback.decide(asked.hits), budget).await?);
        }
        match (policy.kind, &policy.function, asked.hit_of(policy)) {
            (_, Some(function), Some(hit)) => ask(function, hit, error, budget).await,
            (PolicyKind::Allow, ..) => Ok(Decided::unchecked()),
            (PolicyKind::Raise, ..) => Err(Undecided::Raised(error.into())),
            _ => Err(error.into()),
        }
    }
}

async fn ask(
    function: &Function,
    hit: &Hit<'_>,
    error: BackendError,
    budget: Budget<'_>,
) -> Result<Decided, Undecided> {
    let error = Arc::new(error);
    let failure = Failure::new(Arc::clone(&error), hit);
    match budget.hold(async { Ok(function.ask(failure).await) }).await {
        Ok(Ok(Resolution::Admit)) => Ok(Decided::unchecked()),
        Ok(Ok(Resolution::RefuseFor(retry_after))) => Err(Undecided::Refused { error, retry_after }),
        Ok(Err(raised)) => Err(Undecided::Raised(raised)),
        Err(_too_late) => Err(Undecided::Refused { error, retry_after: Duration::from_secs(1) }),
    }
}
