//! What decides about requests now, and how to find out.

use traffik_core::backend::{Answer, BackendError, Control};

use super::{
    breaker::{Attempt, BreakerStatus},
    budget::Budget,
    options::PolicyKind,
    policy::ErrorPolicy,
    waiting::{failed, succeeded},
};
use crate::store::Store;

/// What decides about requests now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deciding {
    /// The backend.
    Backend,
    /// The fallback, because the backend does not answer, or its breaker is not closed.
    Fallback,
    /// A function of the app, because the backend does not answer: see [`OnError`](super::OnError).
    Function,
    /// Nothing: requests pass uncounted, because the backend does not answer.
    Admit,
    /// Nothing: requests are refused with a 503, because the backend does not answer.
    Refuse,
    /// Nothing: requests are answered with a 500, because the backend does not answer.
    Raise,
}

impl Deciding {
    /// Returns the name for logs and pages, such as `fallback`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Fallback => "fallback",
            Self::Function => "function",
            Self::Admit => "admit",
            Self::Refuse => "refuse",
            Self::Raise => "raise",
        }
    }
}

impl ErrorPolicy {
    /// Returns what decides about requests now. A backend that was not asked yet counts as one that answers.
    pub(crate) fn deciding(&self, primary: &Store) -> Deciding {
        let answers = |store: &Store| store.availability().answers != Some(false);
        if !self.fails_over() && answers(primary) {
            return Deciding::Backend;
        }
        match (self.kind, &self.fallback) {
            (_, Some(fallback)) if answers(&fallback.store) => Deciding::Fallback,
            (PolicyKind::Allow, _) => Deciding::Admit,
            (PolicyKind::Function, _) => Deciding::Function,
            (PolicyKind::Raise, _) => Deciding::Raise,
            (PolicyKind::Fallback | PolicyKind::Failover | PolicyKind::Retry | PolicyKind::Refuse, _) => {
                Deciding::Refuse
            }
        }
    }

    /// Returns a snapshot of the breaker, if there is one.
    pub(crate) fn breaker_status(&self) -> Option<BreakerStatus> {
        self.breaker().map(|breaker| breaker.status())
    }

    pub(crate) fn fallback_store(&self) -> Option<&Store> {
        self.fallback.as_ref().map(|fallback| &*fallback.store)
    }
}

/// A call that finds out whether a backend answers.
pub(crate) struct Probe<'a> {
    store: &'a Store,
    budget: Budget<'a>,
    answer: Answer<'a, Control>,
    /// The attempts that its breakers allow now.
    attempts: Vec<Attempt<'a>>,
}

impl<'a> Probe<'a> {
    /// Starts the call. It is an attempt for the breakers of these policies.
    pub(crate) fn start(store: &'a Store, policies: impl Iterator<Item = &'a ErrorPolicy>) -> Self {
        let attempts = policies.filter_map(|policy| policy.enter(store.clock()).ok().flatten()).collect();
        Self { store, budget: Budget::new(store.clock(), store.timeout()), answer: store.probe(), attempts }
    }

    /// Receives the answer, and reports it.
    pub(crate) async fn finish(self) {
        let Self { store, budget, answer, attempts } = self;
        match budget.hold(answer).await {
            Ok(_) => {
                store.answered();
                attempts.into_iter().for_each(|attempt| succeeded(Some(attempt), store));
            }
            Err(error @ (BackendError::Closed | BackendError::Misconfigured(_))) => store.failed(&error),
            Err(error) => {
                store.failed(&error);
                attempts.into_iter().for_each(|attempt| failed(Some(attempt), store, &error));
            }
        }
    }
}
