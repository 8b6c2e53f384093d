//! A decision: hits go in, what was decided comes out, by the policy of their throttles.

use std::{sync::Arc, time::Duration};

use thiserror::Error;
use traffik_core::{
    backend::{Answer, BackendError, Control, MaybeReady},
    decision::{Decision, Hit},
};

use super::{
    breaker::Attempt,
    fallback_backend::FallbackBackend,
    options::{AnyError, Failure, Function, PolicyKind, Resolution},
    policy::{Budget, ErrorPolicy},
};
use crate::store::{Settles, Store};

/// The hits of one decision, each with the policy of its throttle. The strictest policy applies to all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PolicyHits<'h, 'p> {
    pub(crate) hits: &'h [Hit<'h>],
    pub(crate) policies: &'h [&'p ErrorPolicy],
    /// The policies of throttles of the decision that are not counted. Their fallbacks may have refused the client too.
    pub(crate) others: &'h [&'p ErrorPolicy],
}

impl<'h, 'p> PolicyHits<'h, 'p> {
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
                decided(attempt, store, &decision);
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

    /// Returns the strictest policy, and of equally strict ones the first. Those of hits that are not enforced apply only if
    /// there are no others. `None` if there are no hits.
    #[inline]
    pub(super) fn strictest(self) -> Option<&'p ErrorPolicy> {
        let rank = |(hit, policy): (&Hit<'_>, &'p ErrorPolicy)| (hit.enforced, policy.kind);
        let both = self.hits.iter().zip(self.policies.iter().copied());
        both.reduce(|one, other| if rank(other) > rank(one) { other } else { one }).map(|(_, policy)| policy)
    }

    /// Returns the first hit whose throttle has this policy, and an enforced one if there is one.
    fn hit_of(self, policy: &ErrorPolicy) -> Option<&'h Hit<'h>> {
        let mut own = self.hits.iter().zip(self.policies).filter(|(_, own)| std::ptr::eq(**own, policy));
        let first = own.clone().next();
        own.find(|(hit, _)| hit.enforced).or(first).map(|(hit, _)| hit)
    }

    /// Takes a decision of the primary.
    fn by_primary(self, decision: Decision) -> Result<Decided, BackendError> {
        Decided::new(self.hits, decision, DecidedBy::Primary)
    }

    /// Takes a decision of a fallback, which remembers refusals.
    fn by_fallback(self, fallback: &Arc<FallbackBackend>, decision: Decision) -> Result<Decided, BackendError> {
        let decided = Decided::new(self.hits, decision, DecidedBy::Fallback(Arc::clone(fallback)))?;
        fallback.store.answered();
        fallback.decided(self.hits, &decided.decision);
        Ok(decided)
    }

    /// Receives a decision of a fallback.
    async fn receive(
        self,
        fallback: &Arc<FallbackBackend>,
        answer: Answer<'_, Decision>,
        budget: Budget<'_>,
    ) -> Result<Decided, BackendError> {
        let decision = budget.hold(answer).await.inspect_err(|error| fallback.failed(error))?;
        self.by_fallback(fallback, decision)
    }

    /// Returns what the fallback would decide.
    async fn peek_in(self, fallback: &Arc<FallbackBackend>, budget: Budget<'_>) -> Result<Decided, BackendError> {
        let decision = budget.hold(fallback.peek(self.hits)).await?;
        Decided::new(self.hits, decision, DecidedBy::Fallback(Arc::clone(fallback)))
    }

    /// Returns `true` if a fallback refused any of the clients lately.
    #[inline]
    fn may_be_refused(self) -> bool {
        self.fallbacks().any(|fallback| fallback.may_refuse(self.hits))
    }

    /// Returns a refusal if a fallback refused any of the clients before, and still would.
    ///
    /// Each fallback has a quarter of the time to answer. If it does not, the primary decides: a fallback that hangs is no
    /// failure of the primary.
    async fn still_refused(self, budget: Budget<'_>) -> Option<Decided> {
        for fallback in self.fallbacks().filter(|fallback| fallback.may_refuse(self.hits)) {
            match self.peek_in(fallback, budget.a_quarter()).await {
                Ok(decided) if !decided.decision.is_admitted() => return Some(decided),
                _ => {}
            }
        }
        None
    }

    fn fallbacks(self) -> impl Iterator<Item = &'p Arc<FallbackBackend>> {
        self.policies.iter().chain(self.others).filter_map(|policy| policy.fallback.as_ref())
    }
}

/// A decision that was started.
pub(crate) enum Started<'p> {
    Ready(Result<Decided, Undecided>),
    Waiting(Waiting<'p>),
}

/// A decision that was started and waits.
pub(crate) struct Waiting<'p> {
    policy: &'p ErrorPolicy,
    store: &'p Store,
    step: Step<'p>,
}

/// What a decision waits for.
enum Step<'p> {
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
            Ok(answer) => {
                decided(attempt, store, &answer.decision);
                Ok(answer)
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

/// Records a decision of the primary, unless it was made without a call: that says nothing about the primary.
#[inline]
fn decided(attempt: Option<Attempt<'_>>, store: &Store, decision: &Decision) {
    if !decision.outcomes().iter().any(|outcome| outcome.repeated) {
        succeeded(attempt, store);
    }
}

/// Records that the primary answered, and reports it to the breaker.
#[inline]
fn succeeded(attempt: Option<Attempt<'_>>, store: &Store) {
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
fn failed(attempt: Option<Attempt<'_>>, store: &Store, error: &BackendError) {
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
    match budget.hold(async { Ok((function.0)(failure).await) }).await {
        Ok(Ok(Resolution::Admit)) => Ok(Decided::unchecked()),
        Ok(Ok(Resolution::RefuseFor(retry_after))) => Err(Undecided::Refused { error, retry_after }),
        Ok(Err(raised)) => Err(Undecided::Raised(raised)),
        Err(_too_late) => Err(Undecided::Refused { error, retry_after: Duration::from_secs(1) }),
    }
}

/// A decision, and the backend that made it.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    pub(crate) by: DecidedBy,
}

/// Which backend decided.
#[derive(Clone, Debug)]
pub(crate) enum DecidedBy {
    /// The throttle's own.
    Primary,
    /// The fallback, since the primary did not answer.
    Fallback(Arc<FallbackBackend>),
    /// None: the request passes although no backend answered.
    Unchecked,
    /// None: the request passes because all of its throttles are in a dry run. Otherwise it would have been rejected.
    DryRun,
    /// A connection of a WebSocket, which stores its limits itself: this one at a place.
    #[cfg_attr(not(feature = "ws"), allow(dead_code, reason = "only WebSockets have such limits"))]
    Connection(Arc<dyn Settles>, usize),
}

impl DecidedBy {
    /// Returns the same for the limit at a place of the decision.
    #[inline]
    pub(crate) fn at(&self, place: usize) -> Self {
        match self {
            Self::Connection(states, _) => Self::Connection(Arc::clone(states), place),
            other => other.clone(),
        }
    }
}

/// Why there is no decision.
#[derive(Debug, Error)]
pub(crate) enum Undecided {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("{error}")]
    Refused { error: Arc<BackendError>, retry_after: Duration },
    #[error("{0}")]
    Raised(AnyError),
}

impl Decided {
    /// Takes a decision that has an outcome for each hit.
    ///
    /// # Errors
    ///
    /// Returns an error if an outcome is missing: a decision that leaves out a hit admits nothing.
    #[inline]
    pub(super) fn new(hits: &[Hit<'_>], decision: Decision, by: DecidedBy) -> Result<Self, BackendError> {
        let (hits, outcomes) = (hits.len(), decision.outcomes().len());
        if hits != outcomes {
            return Err(BackendError::unavailable(format!("the backend returned {outcomes} outcomes of {hits} hits")));
        }
        Ok(Self { decision, by })
    }

    /// A decision about no hits.
    pub(crate) fn nothing() -> Self {
        Self { decision: Decision::from_iter([]), by: DecidedBy::Primary }
    }

    fn unchecked() -> Self {
        Self { by: DecidedBy::Unchecked, ..Self::nothing() }
    }

    /// A decision that could not be made in a dry run.
    pub(crate) fn dry_run() -> Self {
        Self { by: DecidedBy::DryRun, ..Self::nothing() }
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
        let mut entered: Vec<&ErrorPolicy> = Vec::new();
        let mut attempts = Vec::new();
        for policy in policies {
            // Policies may share a breaker, which counts the call once.
            if !entered.iter().any(|earlier| earlier.shares_breaker(policy)) {
                entered.push(policy);
                attempts.extend(policy.enter(store.clock()).ok().flatten());
            }
        }
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
