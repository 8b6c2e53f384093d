//! The policy of a throttle while its backend does not answer.

use std::{sync::Arc, time::Duration};

use traffik_core::{
    backend::BackendError,
    clock::{AnyClock, Timestamp},
    decision::Hit,
};

use super::{
    breaker::{Attempt, BreakerState, BreakerStatus, CircuitBreaker},
    fallback_backend::FallbackBackend,
    options::{Function, OnError, PolicyKind, Refuse},
    retry::Retry,
};
use crate::store::{Store, Stores, within};

/// What happens while one backend, the primary, does not answer.
#[derive(Debug)]
pub(crate) struct ErrorPolicy {
    pub(super) kind: PolicyKind,
    pub(super) retry: Retry,
    pub(crate) fallback: Option<Arc<FallbackBackend>>,
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

    /// Returns whether both count attempts with one breaker.
    pub(super) fn shares_breaker(&self, other: &Self) -> bool {
        matches!((&self.breaker, &other.breaker), (Some(one), Some(other)) if one.is_clone_of(other))
    }

    /// Returns `true` if the fallback decides about most requests. While the breaker is half-open, only trials ask the primary.
    pub(super) fn fails_over(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| breaker.state() != BreakerState::Closed)
    }

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
        self.breaker.as_ref().map(CircuitBreaker::status)
    }

    pub(crate) fn fallback_store(&self) -> Option<&Store> {
        self.fallback.as_ref().map(|fallback| &*fallback.store)
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
}

/// The policy of an app for each of its backends. Throttles without a policy of their own use it.
#[derive(Debug, Default)]
pub(crate) struct Policies(Vec<(Arc<Store>, Arc<ErrorPolicy>)>);

impl Policies {
    /// Creates a policy for each backend, with a breaker of its own.
    pub(crate) fn new(on_error: Option<OnError>, stores: &Stores) -> Self {
        let on_error = on_error.unwrap_or_else(|| Refuse.into());
        let policy = |(i, store): (usize, &Arc<Store>)| {
            let on_error = if i == 0 { on_error.clone() } else { on_error.with_own_breaker() };
            (Arc::clone(store), Arc::new(ErrorPolicy::new(on_error, store)))
        };
        Self(stores.iter().enumerate().map(policy).collect())
    }

    pub(crate) fn of(&self, store: &Arc<Store>) -> Option<&Arc<ErrorPolicy>> {
        self.0.iter().find(|(own, _)| Arc::ptr_eq(own, store)).map(|(_, policy)| policy)
    }

    /// Returns the policy of each backend.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<Store>, &Arc<ErrorPolicy>)> {
        self.0.iter().map(|(store, policy)| (store, policy))
    }
}

/// What decides about requests now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deciding {
    /// The backend.
    Backend,
    /// The fallback, because the backend does not answer, or its breaker is not closed.
    Fallback,
    /// A function of the app, because the backend does not answer: see [`OnError`].
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

/// The time that a request may wait for its decision, in whichever backend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget<'a> {
    pub(super) clock: &'a AnyClock,
    end: Timestamp,
    whole: Duration,
}

impl<'a> Budget<'a> {
    pub(super) fn new(clock: &'a AnyClock, whole: Duration) -> Self {
        Self { clock, end: clock.now().saturating_add(whole), whole }
    }

    /// Returns three quarters of what is left. The rest is for the fallback or the function that is asked next.
    pub(super) fn but_a_quarter(self) -> Self {
        Self::new(self.clock, self.left() / 4 * 3)
    }

    /// Returns a quarter of what is left.
    pub(super) fn a_quarter(self) -> Self {
        Self::new(self.clock, self.left() / 4)
    }

    /// Returns what is left: at most all of it, also if the clock goes back.
    pub(super) fn left(&self) -> Duration {
        self.end.saturating_since(self.clock.now()).min(self.whole)
    }

    /// Waits for `call`, but no longer than the time that is left.
    pub(super) async fn hold<T>(
        &self,
        call: impl IntoFuture<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        within(self.clock, self.left(), call).await
    }
}

#[cfg(test)]
mod tests {
    use traffik_core::clock::{Clock, ManualClock};

    use super::*;

    #[test]
    fn clock_that_goes_back_leaves_no_more_than_the_whole() {
        let (manual, whole) = (ManualClock::new(), Duration::from_millis(100));
        let start = manual.now();
        manual.advance(Duration::from_secs(3600));
        let clock = AnyClock::new(manual.clone());
        let budget = Budget::new(&clock, whole);
        manual.advance(whole / 4);
        assert_eq!(budget.left(), whole / 4 * 3);
        manual.set(start);
        assert_eq!(budget.left(), whole);
    }
}
