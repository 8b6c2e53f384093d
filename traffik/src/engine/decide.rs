//! Starts a decision about checks, and receives it.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use traffik_core::backend::MaybeReady;

use super::{Check, Checks, Error, Limits, check::KeptCheck, task::in_a_task};
use crate::{
    limit::Definition,
    observe::{Stopwatch, Took},
    on_error::{Decided, Started, Undecided},
    store::Store,
};

/// Why there is no decision, and what it would have been about.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    pub(crate) checks: Vec<KeptCheck>,
    pub(super) took: Took,
}

/// The limits of a decision, or why there is none.
pub(crate) type CheckResult = Result<Limits, Box<Failed>>;

/// Starts a decision, which charges all of the checks or none.
///
/// What does not wait is ready. A waiting decision is boxed.
pub(crate) fn decide(checks: Checks<'_>) -> MaybeReady<'_, CheckResult> {
    let store = match checks.store() {
        Ok(Some(store)) => store,
        Ok(None) => return MaybeReady::Ready(Ok(Limits::new(checks, Decided::nothing(), Took::default()))),
        Err(error) => return MaybeReady::Ready(Err(Failed::new(error, &checks))),
    };
    // A permit must not be lost with a caller that goes away while it waits.
    if checks.are_held() && !store.is_immediate() { decide_in_a_task(&checks) } else { decide_in(store, checks) }
}

#[inline]
fn decide_in<'a>(store: &'a Arc<Store>, checks: Checks<'a>) -> MaybeReady<'a, CheckResult> {
    let stopwatch = Stopwatch::start(&checks.first().definition.observers, store.clock());
    match checks.with_hits(|hits| hits.start(store)) {
        Started::Ready(decided) => MaybeReady::Ready(concluded(checks, decided, stopwatch)),
        Started::Waiting(waiting) => MaybeReady::pending(async move {
            let decided = waiting.finish(checks.hits().as_ref()).await;
            concluded(checks, decided, stopwatch)
        }),
    }
}

#[inline(always)]
fn concluded(checks: Checks<'_>, decided: Result<Decided, Undecided>, stopwatch: Stopwatch<'_>) -> CheckResult {
    let took = stopwatch.stop();
    match decided {
        Ok(decided) => Ok(Limits::new(checks, decided, took)),
        Err(error) if checks.are_in_dry_run() => {
            checks.log_dry_run(&error);
            Ok(Limits::new(checks, Decided::dry_run(), took))
        }
        Err(error) => Err(Box::new(Failed { took, ..*Failed::new(error, &checks) })),
    }
}

/// Starts a decision that a task finishes if it waits, even if its caller is gone. A permit that no caller receives is given
/// back.
#[cold]
fn decide_in_a_task<'a>(checks: &Checks<'_>) -> MaybeReady<'a, CheckResult> {
    let kept = checks.map(Check::kept);
    let mut decision = Box::pin(async move {
        let checks = kept.map(KeptCheck::check);
        match checks.store() {
            Ok(Some(store)) => decide_in(store, checks).await,
            Ok(None) => Ok(Limits::new(checks, Decided::nothing(), Took::default())),
            Err(error) => Err(Failed::new(error, &checks)),
        }
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
