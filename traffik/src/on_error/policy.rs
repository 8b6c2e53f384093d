//! Asks a backend about hits, and does what the policy of their throttles says if it does not answer.

use std::{sync::Arc, time::Duration};

use traffik_core::{
    backend::{Answer, BackendError, MaybeReady},
    decision::{Decision, Hit},
};

use super::{
    Decided, Failure, FallbackBackend, Kind, OnError, Resolution, Retry, Undecided,
    breaker::Attempt,
    budget::Budget,
    failover::{FailoverBackend, failed, succeeded},
    function::Function,
};
use crate::{observe::LogThrottle, store::Store};

/// What is done about one backend while it does not answer.
#[derive(Debug)]
pub(crate) struct ErrorPolicy {
    kind: PolicyKind,
    failures: LogThrottle,
}

/// In order of strictness.
#[derive(Debug)]
enum PolicyKind {
    Allow,
    Function(Function),
    Fallback(Arc<FallbackBackend>),
    Failover(Box<FailoverBackend>),
    Retry(Retry),
    Refuse,
    Raise,
}

/// The hits of one decision, each with the policy of its throttle. The strictest policy holds for all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PolicyHits<'h, 'p> {
    pub(crate) hits: &'h [Hit<'h>],
    pub(crate) policies: &'h [&'p ErrorPolicy],
}

/// A decision that was started.
pub(crate) enum Started<'p> {
    Ready(Result<Decided, Undecided>),
    Waiting(Waiting<'p>),
}

/// What a decision that was started waits for.
pub(crate) struct Waiting<'p> {
    policy: &'p ErrorPolicy,
    store: &'p Store,
    step: Step<'p>,
}

enum Step<'p> {
    /// The primary was asked.
    Primary(Option<Attempt<'p>>, Answer<'p, Decision>),
    /// The fallback has to be asked first whether it still refuses.
    Refusals(Option<Attempt<'p>>),
    /// The fallback was asked.
    Fallback(&'p Arc<FallbackBackend>, Answer<'p, Decision>),
}

impl<'p> PolicyHits<'_, 'p> {
    /// Starts a decision.
    ///
    /// While the breaker is open the fallback decides. It knows which clients it refused.
    pub(crate) fn start(self, store: &'p Store) -> Started<'p> {
        let Some(policy) = self.strictest() else { return Started::Ready(Ok(Decided::nothing())) };
        let waiting = |step| Started::Waiting(Waiting { policy, store, step });
        let mut attempt = None;
        if let PolicyKind::Failover(failover) = &policy.kind {
            attempt = failover.breaker.enter_by(store.clock());
            if attempt.is_none() {
                let fallback = &failover.fallback;
                return match fallback.start(self.hits) {
                    MaybeReady::Ready(Ok(decision)) => {
                        Started::Ready(fallback.conclude(self.hits, decision).map_err(Undecided::from))
                    }
                    answer => waiting(Step::Fallback(fallback, answer)),
                };
            }
        }
        if self.fallbacks().any(|fallback| fallback.may_refuse(self.hits)) {
            return waiting(Step::Refusals(attempt));
        }
        match store.decide(self.hits) {
            MaybeReady::Ready(Ok(decision)) => match Decided::primary(self.hits, decision) {
                Ok(decided) => {
                    attempt.into_iter().for_each(|attempt| succeeded(attempt, store));
                    Started::Ready(Ok(decided))
                }
                Err(error) => waiting(Step::Primary(attempt, MaybeReady::Ready(Err(error)))),
            },
            answer => waiting(Step::Primary(attempt, answer)),
        }
    }

    /// Returns what a decision would be, in the backend that would make it now.
    pub(crate) async fn peek(self, store: &Store) -> Result<Decided, BackendError> {
        let Some(policy) = self.strictest() else { return Ok(Decided::nothing()) };
        let budget = Budget::new(store.clock(), store.timeout());
        let primary = async |budget: Budget<'_>| Decided::primary(self.hits, budget.hold(store.peek(self.hits)).await?);
        let Some(fallback) = policy.fallback() else { return primary(budget).await };
        if matches!(&policy.kind, PolicyKind::Failover(failover) if failover.fails_over()) {
            return fallback.peek(self.hits, budget).await;
        }
        if let Some(refusal) = fallback.still_refused(self.hits, budget).await {
            return Ok(refusal);
        }
        match primary(budget.but_a_quarter()).await {
            Err(error) if !matches!(error, BackendError::Closed) => fallback.peek(self.hits, budget).await,
            answer => answer,
        }
    }

    /// The strictest policy, and of equally strict ones the first. `None` if there are no hits.
    #[inline]
    fn strictest(self) -> Option<&'p ErrorPolicy> {
        self.policies.iter().copied().reduce(
            |one, other| {
                if other.kind.strictness() > one.kind.strictness() { other } else { one }
            },
        )
    }

    fn fallbacks(self) -> impl Iterator<Item = &'p Arc<FallbackBackend>> {
        self.policies.iter().filter_map(|policy| policy.fallback())
    }

    /// Returns a refusal if the fallback of any of the throttles still refuses the client.
    async fn still_refused(self, budget: Budget<'_>) -> Option<Decided> {
        for fallback in self.fallbacks() {
            if let Some(refusal) = fallback.still_refused(self.hits, budget).await {
                return Some(refusal);
            }
        }
        None
    }

    /// Asks until there is an answer, an attempt that may have run, or no time left for one more.
    async fn ask<'a>(
        self,
        store: &'a Store,
        retry: Retry,
        budget: Budget<'_>,
        first: Answer<'a, Decision>,
    ) -> Result<Decided, BackendError> {
        let (mut pauses, mut answer) = (retry.pauses(), first);
        loop {
            match answer.await {
                Err(error @ BackendError::NotRun(_)) => match pauses.next().filter(|pause| *pause < budget.left()) {
                    Some(pause) => budget.clock.sleep(pause).await,
                    None => return Err(error),
                },
                decision => return Decided::primary(self.hits, decision?),
            }
            answer = store.decide(self.hits);
        }
    }
}

impl Waiting<'_> {
    /// Receives the decision, or does what the policy says if there is none. `asked` is what the decision was started with.
    ///
    /// If the request is given up meanwhile, the breaker does not learn the result of its attempt, and a charge stays.
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
            Step::Fallback(fallback, answer) => return Ok(fallback.receive(asked.hits, answer, budget).await?),
        };
        let (retry, time) = match &policy.kind {
            PolicyKind::Failover(failover) => (failover.retry, budget.but_a_quarter()),
            PolicyKind::Fallback(_) | PolicyKind::Function(_) => (Retry::NEVER, budget.but_a_quarter()),
            PolicyKind::Retry(retry) => (*retry, budget),
            PolicyKind::Allow | PolicyKind::Refuse | PolicyKind::Raise => (Retry::NEVER, budget),
        };
        match time.hold(asked.ask(store, retry, time, first)).await {
            Ok(decided) => {
                attempt.into_iter().for_each(|attempt| succeeded(attempt, store));
                Ok(decided)
            }
            Err(BackendError::Closed) => Err(BackendError::Closed.into()),
            Err(error) => {
                attempt.into_iter().for_each(|attempt| failed(attempt, store, &error));
                policy.resolve(error, asked, budget).await
            }
        }
    }
}

impl ErrorPolicy {
    pub(crate) fn new(OnError(kind): OnError, primary: &Store) -> Self {
        let kind = match kind {
            Kind::Allow => PolicyKind::Allow,
            Kind::Refuse => PolicyKind::Refuse,
            Kind::Raise => PolicyKind::Raise,
            Kind::Retry(retry) => PolicyKind::Retry(retry),
            Kind::Function(function) => PolicyKind::Function(function),
            Kind::Fallback(fallback) => PolicyKind::Fallback(Arc::new(FallbackBackend::new(fallback, primary))),
            Kind::Failover(failover) => PolicyKind::Failover(Box::new(FailoverBackend::new(failover, primary))),
        };
        Self { kind, failures: LogThrottle::default() }
    }

    async fn resolve(
        &self,
        error: BackendError,
        asked: PolicyHits<'_, '_>,
        budget: Budget<'_>,
    ) -> Result<Decided, Undecided> {
        self.log(asked.hits, &error, budget);
        match &self.kind {
            PolicyKind::Allow => Ok(Decided::unchecked()),
            PolicyKind::Function(function) => self.ask_function(function, error, asked, budget).await,
            PolicyKind::Raise => Err(Undecided::Raised(error.into())),
            PolicyKind::Retry(_) | PolicyKind::Refuse => Err(error.into()),
            PolicyKind::Fallback(_) | PolicyKind::Failover(_) => match self.fallback() {
                Some(fallback) => Ok(fallback.receive(asked.hits, fallback.start(asked.hits), budget).await?),
                None => Err(error.into()),
            },
        }
    }

    async fn ask_function(
        &self,
        function: &Function,
        error: BackendError,
        asked: PolicyHits<'_, '_>,
        budget: Budget<'_>,
    ) -> Result<Decided, Undecided> {
        let error = Arc::new(error);
        let own = asked.hits.iter().zip(asked.policies).find(|(_, policy)| std::ptr::eq(**policy, self));
        let Some((hit, _)) = own else { return Err(Undecided::refused(error)) };
        let failure = Failure::new(Arc::clone(&error), hit);
        match budget.hold(async { Ok(function.ask(failure).await) }).await {
            Ok(Ok(Resolution::Admit)) => Ok(Decided::unchecked()),
            Ok(Ok(Resolution::RefuseFor(retry_after))) => Err(Undecided::Refused { error, retry_after }),
            Ok(Err(raised)) => Err(Undecided::Raised(raised)),
            Err(_too_late) => Err(Undecided::refused(error)),
        }
    }

    pub(crate) async fn reset(&self, hits: &[Hit<'_>]) -> Result<(), BackendError> {
        match self.fallback() {
            Some(fallback) => fallback.store.reset(hits).await,
            None => Ok(()),
        }
    }

    pub(crate) async fn clear(&self) -> Result<(), BackendError> {
        match self.fallback() {
            Some(fallback) => fallback.clear().await,
            None => Ok(()),
        }
    }

    pub(crate) async fn close(&self) -> Result<(), BackendError> {
        match self.fallback() {
            Some(fallback) => fallback.store.close().await,
            None => Ok(()),
        }
    }

    fn fallback(&self) -> Option<&Arc<FallbackBackend>> {
        match &self.kind {
            PolicyKind::Fallback(fallback) => Some(fallback),
            PolicyKind::Failover(failover) => Some(&failover.fallback),
            _ => None,
        }
    }

    /// Logs at most once a second. Refusals are logged where the response is made.
    fn log(&self, hits: &[Hit<'_>], error: &BackendError, budget: Budget<'_>) {
        if matches!(self.kind, PolicyKind::Retry(_) | PolicyKind::Refuse) || !self.failures.is_due(budget.clock.now()) {
            return;
        }
        let uids: Vec<_> = hits.iter().map(|hit| hit.uid).collect();
        tracing::error!(?uids, %error, "a backend gives no answer: {}", self.kind.effect());
    }
}

impl Undecided {
    /// A function of the user did not answer in time.
    fn refused(error: Arc<BackendError>) -> Self {
        Self::Refused { error, retry_after: Duration::from_secs(1) }
    }
}

impl PolicyKind {
    const fn strictness(&self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Function(_) => 1,
            Self::Fallback(_) => 2,
            Self::Failover(_) => 3,
            Self::Retry(_) => 4,
            Self::Refuse => 5,
            Self::Raise => 6,
        }
    }

    const fn effect(&self) -> &'static str {
        match self {
            Self::Allow => "requests pass uncounted",
            Self::Function(_) => "a function decides about requests",
            Self::Fallback(_) | Self::Failover(_) => "the fallback decides",
            Self::Retry(_) | Self::Refuse => "requests are refused",
            Self::Raise => "requests are answered with a 500",
        }
    }
}
