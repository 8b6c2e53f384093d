//! Decisions: checks become limits, by the changes in force and the answer of the store.

use std::{
    mem,
    panic::resume_unwind,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use smallvec::SmallVec;
use tokio::runtime::Handle;
use tracing::Instrument;
use traffik_core::{
    EXEMPTED,
    backend::{BackendError, MaybeReady},
    clock::Timestamp,
    decision::Outcome,
    rate::Rate,
};
use triomphe::Arc as Shared;

use super::{Check, Checks, Error, Limit, Limits, check::KeptCheck, limits::Account};
use crate::{
    limit::{
        Definition,
        changes::{Block, Changes, Live},
    },
    observe::{EventFacts, EventOutcome, Stopwatch, Took},
    on_error::{Decided, DecidedBy, Started, Undecided},
    store::{HITS_INLINE, Store},
};

/// The limits of a decision, or why there is none.
pub(crate) type CheckResult = Result<Limits, Box<Failed>>;

/// Puts one snapshot in force, and starts the decision.
#[inline]
pub(crate) fn decide_in_force<'a>(changes: &Changes, mut checks: Checks<'a>) -> MaybeReady<'a, CheckResult> {
    match changes.live().and_then(|live| put_in_force(&live, changes, &mut checks)) {
        Some(refusal) => MaybeReady::Ready(Ok(refusal)),
        None => decide(&mut checks),
    }
}

/// The block of each check, or `None`.
type Blocks = SmallVec<[Option<Arc<Block>>; HITS_INLINE]>;

/// Puts a snapshot in force. Returns the refusal of a client that is blocked.
#[cold]
pub(crate) fn put_in_force(live: &Live, changes: &Changes, checks: &mut Checks<'_>) -> Option<Limits> {
    let now = changes.clock().now();
    let blocks: Blocks = checks.iter_mut().map(|check| check.put_in_force(live, now)).collect();
    let is_blocked = blocks.iter().any(Option::is_some);
    is_blocked.then(|| Limits::blocked(&mut checks.clone(), blocks, now))
}

impl Check<'_> {
    /// Returns the block of the client, if there is one.
    fn put_in_force(&mut self, live: &Live, now: Timestamp) -> Option<Arc<Block>> {
        // What was charged before stays, and what does not apply stays free.
        let client = self.client.key().filter(|_| self.charged_before.is_none())?;
        let limit = live.of(&self.definition.uid);
        if let Some(fields) = limit.fields().filter(|_| !self.definition.settings.request.is_hidden) {
            self.fields = fields;
        }
        if let Some(block) = limit.block(client, now) {
            return Some(Arc::clone(block));
        }
        if limit.is_off() {
            *self = Self::skipped(self.definition, EventOutcome::Disabled);
            return None;
        }
        if limit.is_exempt(client, now) {
            self.client = EXEMPTED;
            return None;
        }
        self.enforced = limit.dry_run().map_or(self.enforced, |dry_run| !dry_run);
        if let Some(penalty) = limit.penalty(client, now).filter(|_| self.enforced) {
            return Some(Arc::clone(penalty));
        }
        let base = if self.own.rate { None } else { limit.base_rate() };
        let rates = [limit.rate_of(client, now), limit.rate(), base];
        // A rate that came from elsewhere was not checked if the throttle was not known then.
        let rate = rates.into_iter().flatten().find(|rate| self.definition.check_rate(*rate).is_ok());
        self.rate = rate.unwrap_or(self.rate);
        // A function or a caller that says 0 does not count the request.
        self.cost = match self.cost {
            0 if self.own.cost => 0,
            cost => limit.cost().or(if self.own.cost { None } else { limit.base_cost() }).unwrap_or(cost),
        };
        None
    }
}

/// Starts a decision, which charges all of the checks or none.
///
/// What does not wait is ready. A waiting decision is boxed. The checks are of no use after it: it takes what is large out of
/// them, because they are large as well.
pub(crate) fn decide<'a>(checks: &mut Checks<'a>) -> MaybeReady<'a, CheckResult> {
    let store = match checks.store() {
        Ok(Some(store)) => store,
        Ok(None) => return MaybeReady::Ready(Ok(Limits::new(checks, &mut Decided::nothing(), Took::default()))),
        Err(error) => return MaybeReady::Ready(Err(Failed::new(error, checks))),
    };
    // A permit must not be lost with a caller that goes away while it waits.
    if checks.are_held() && !store.is_immediate() { decide_in_a_task(store, checks) } else { decide_in(store, checks) }
}

#[inline]
fn decide_in<'a>(store: &'a Arc<Store>, checks: &mut Checks<'a>) -> MaybeReady<'a, CheckResult> {
    let stopwatch = Stopwatch::start(&checks.first().definition.observers, store.clock());
    let mut started = checks.with_hits(|hits| hits.start(store));
    // Checks and decisions are large, so the usual ones are moved no more.
    if let Started::Ready(Ok(decided)) = &mut started {
        return MaybeReady::Ready(Ok(Limits::new(checks, decided, stopwatch.stop())));
    }
    finish(checks.map_mut(Check::take), started, stopwatch)
}

#[cold]
fn finish<'a>(checks: Checks<'a>, started: Started<'a>, stopwatch: Stopwatch<'a>) -> MaybeReady<'a, CheckResult> {
    match started {
        Started::Ready(decided) => MaybeReady::Ready(concluded(checks, decided, stopwatch)),
        Started::Waiting(waiting) => MaybeReady::pending(async move {
            let decided = waiting.finish(checks.hits().as_ref()).await;
            concluded(checks, decided, stopwatch)
        }),
    }
}

#[cold]
fn concluded(mut checks: Checks<'_>, decided: Result<Decided, Undecided>, stopwatch: Stopwatch<'_>) -> CheckResult {
    let took = stopwatch.stop();
    match decided {
        Ok(mut decided) => Ok(Limits::new(&mut checks, &mut decided, took)),
        Err(error) if checks.are_in_dry_run() => {
            checks.log_dry_run(&error);
            Ok(Limits::new(&mut checks, &mut Decided::dry_run(), took))
        }
        Err(error) => Err(Box::new(Failed { took, ..*Failed::new(error, &checks) })),
    }
}

/// Starts a decision that a task finishes if it waits, even if its caller is gone. A permit that no caller receives is given
/// back.
#[cold]
fn decide_in_a_task<'a>(store: &Arc<Store>, checks: &Checks<'_>) -> MaybeReady<'a, CheckResult> {
    let (store, kept) = (Arc::clone(store), checks.map(Check::kept));
    let mut decision = Box::pin(async move {
        let decision = decide_in(&store, &mut kept.map(KeptCheck::check));
        decision.await
    });
    match decision.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(decision) => MaybeReady::Ready(decision),
        Poll::Pending => {
            let checks: Vec<_> = checks.iter().map(Check::kept).collect();
            let task = in_a_task(decision);
            MaybeReady::pending(
                async move { task.await.map_err(|failed: Box<Failed>| failed.about(checks.into_iter())) },
            )
        }
    }
}

/// Checks become limits.
impl Limits {
    /// Returns the limits of a decision. Its outcomes are those of the counted checks, in order.
    ///
    /// It takes what is large out of the checks and the decision, which are of no use after it.
    #[inline(always)]
    pub(crate) fn new(checks: &mut Checks<'_>, decided: &mut Decided, took: Took) -> Self {
        let (is_charged, are_held) = (decided.decision.is_admitted(), checks.are_held());
        let mut limits = Self::build(checks, decided, is_charged, took);
        if is_charged && are_held {
            limits.hold();
        }
        limits
    }

    /// Returns the limits of a decision that charged nothing.
    pub(crate) fn peeked(mut checks: Checks<'_>, mut decided: Decided) -> Self {
        Self::build(&mut checks, &mut decided, false, Took::default())
    }

    #[inline]
    fn build(checks: &mut Checks<'_>, decided: &mut Decided, is_charged: bool, took: Took) -> Self {
        let Decided { decision, by } = decided;
        let delays = is_charged && checks.iter().any(|check| check.definition.queue.is_some());
        let queued = if delays { queued(checks, decision.outcomes()) } else { SmallVec::new() };
        let (mut outcomes, mut queued, mut places) = (decision.take_outcomes(), queued.into_iter(), 0..);
        Self::of_all(checks.map_mut(|check| {
            let place = places.next().unwrap_or_default();
            let queued = queued.next().unwrap_or_default();
            match check.charged_before.take() {
                Some(limit) => limit,
                None if check.is_counted() => Shared::new(limit(check, outcomes.next(), by.at(place), queued, took)),
                None => Shared::new(limit(check, None, DecidedBy::Primary, 0, Took::default())),
            }
        }))
    }

    /// Returns the limits of a decision that is refused because a client is blocked. No backend is asked.
    #[cold]
    fn blocked(checks: &mut Checks<'_>, blocks: Blocks, now: Timestamp) -> Self {
        let mut blocks = blocks.into_iter();
        Self::of_all(checks.map_mut(|check| match (check.charged_before.take(), blocks.next().flatten()) {
            (Some(limit), _) => limit,
            (None, Some(block)) => {
                // A block is stronger than a dry run.
                check.enforced = true;
                let outcome = Some(Outcome::new(false, check.cost, now));
                let limit = limit(check, outcome, DecidedBy::Primary, 0, Took::default());
                Shared::new(Limit { block: Some(block), ..limit })
            }
            (None, None) => {
                check.skipped = check.skipped.or(Some(EventOutcome::NotApplied));
                Shared::new(limit(check, None, DecidedBy::Primary, 0, Took::default()))
            }
        }))
    }
}

/// Returns what the decision charged to the entry of each check.
#[cold]
fn queued(checks: &Checks<'_>, outcomes: &[Outcome]) -> SmallVec<[u64; HITS_INLINE]> {
    let mut outcomes = outcomes.iter();
    let mut granted = |check: &Check<'_>| {
        let outcome = if check.is_counted() { outcomes.next() } else { None };
        outcome.map_or(0, |outcome| outcome.granted)
    };
    let granted: SmallVec<[u64; HITS_INLINE]> = checks.iter().map(&mut granted).collect();
    checks.iter().map(|check| checks.queued(check, &granted)).collect()
}

/// Takes the client out of a check. `queued` is what the decision charged to the entry in all, if the strategy delays.
#[inline]
fn limit(check: &mut Check<'_>, outcome: Option<Outcome>, by: DecidedBy, queued: u64, took: Took) -> Limit {
    let uncounted = match (&outcome, &by) {
        (Some(_), _) | (None, DecidedBy::Unchecked) => EventOutcome::Unchecked,
        (None, DecidedBy::DryRun) => EventOutcome::WouldRefuse,
        (None, _) => check.uncounted(),
    };
    Limit {
        definition: Arc::clone(check.definition),
        backend: check.backend,
        rate: if outcome.is_some() { rate(check, &by) } else { check.rate },
        queued,
        is_full: check.is_full,
        fields: check.fields,
        facts: EventFacts::new(uncounted, check.enforced, took),
        client: mem::replace(&mut check.client, EXEMPTED),
        outcome,
        by,
        block: None,
        lease: None,
        account: Account::default(),
    }
}

/// Returns the rate that decided.
fn rate(check: &Check<'_>, by: &DecidedBy) -> Rate {
    match by {
        DecidedBy::Fallback(fallback) => fallback.share_of(check.strategy(), check.rate, check.cost).0,
        DecidedBy::Primary | DecidedBy::Unchecked | DecidedBy::DryRun | DecidedBy::Connection(..) => check.rate,
    }
}

/// Why there is no decision, and what it would have been about.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) checks: Vec<KeptCheck>,
    pub(super) took: Took,
}

impl Failed {
    /// A task that its runtime ended does not say what it was about.
    pub(crate) fn about(mut self: Box<Self>, checks: impl Iterator<Item = KeptCheck>) -> Box<Self> {
        if self.checks.is_empty() {
            self.checks = checks.collect();
        }
        self
    }

    /// Returns the same about more checks, which would have been part of the decision.
    #[cfg(feature = "ws")]
    pub(crate) fn and_about(mut self: Box<Self>, checks: &Checks<'_>) -> Box<Self> {
        self.checks.extend(checks.iter().map(Check::kept));
        self
    }

    #[cold]
    pub(crate) fn new(error: impl Into<Error>, checks: &Checks<'_>) -> Box<Self> {
        Box::new(Self { error: error.into(), checks: checks.iter().map(Check::kept).collect(), took: Took::default() })
    }

    /// Returns the throttles that the decision would have been about, except for those in a dry run.
    pub(crate) fn definitions(&self) -> Vec<Arc<Definition>> {
        self.checks.iter().filter(|check| check.enforced).map(|check| Arc::clone(&check.definition)).collect()
    }
}

/// A task that was ended by its runtime.
impl From<Error> for Box<Failed> {
    fn from(error: Error) -> Self {
        Self::new(Failed { error, checks: Vec::new(), took: Took::default() })
    }
}

impl From<Box<Failed>> for Error {
    fn from(failed: Box<Failed>) -> Self {
        failed.error
    }
}

/// Awaits a [`MaybeReady`]. Of a value that may be large, only a box becomes part of the
/// surrounding future.
macro_rules! resolve {
    ($answer:expr) => {
        'ready: {
            // The match ends before the await, or the future would hold all of the answer.
            let pending = match $answer {
                ::traffik_core::backend::MaybeReady::Ready(value) => break 'ready value,
                ::traffik_core::backend::MaybeReady::Pending(pending) => pending,
            };
            pending.await
        }
    };
}
pub(crate) use resolve;

/// Starts a task that runs `future` to its end, even if what is returned is not polled or is dropped. A panic in the task
/// resumes where its result is awaited. Where there is no runtime, `future` runs there.
pub(crate) fn in_a_task<T: Send + 'static, E: From<Error> + Send + 'static>(
    future: impl Future<Output = Result<T, E>> + Send + 'static,
) -> impl Future<Output = Result<T, E>> + Send {
    let task = match Handle::try_current() {
        Ok(runtime) => Ok(runtime.spawn(future.in_current_span())),
        Err(_) => Err(future),
    };
    async move {
        match task {
            Err(future) => future.await,
            Ok(task) => match task.await {
                Ok(answer) => answer,
                // In a function of the user's own, for instance.
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                Err(error) => Err(Error::from(BackendError::unavailable(error)).into()),
            },
        }
    }
}
