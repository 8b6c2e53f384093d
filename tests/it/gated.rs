//! A backend whose adjustments and renewals wait.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch, time::timeout};
use traffik::{
    backend::{Adjusted, Answer, Backend, BackendError, Control, ControlRequest, MaybeReady, MemoryBackend},
    client::Key,
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit},
    test::ManualClock,
};

use crate::owned::{adjustments_of, charges_of, owned};

/// A wrapper around a store in memory. Its adjustments and renewals wait until its gate is open.
#[derive(Clone, Debug)]
pub(crate) struct Gated {
    pub(crate) inner: MemoryBackend,
    pub(crate) decides_now: bool,
    pub(crate) gate: Arc<Gate>,
}

#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) is_open: watch::Sender<bool>,
    /// Whether no call runs.
    pub(crate) never_runs: AtomicBool,
    /// The client whose charges the next call does not adjust, as if its server was away.
    pub(crate) away: Mutex<Option<Key>>,
    /// Whether the next call fails, and how.
    pub(crate) does_not_run: AtomicBool,
    pub(crate) panics: AtomicBool,
    /// Whether calls run, and their answers are lost.
    pub(crate) loses_answers: AtomicBool,
    /// The number of calls that began, and of those that ended.
    pub(crate) begun: watch::Sender<usize>,
    pub(crate) ended: watch::Sender<usize>,
}

impl Gated {
    pub(crate) fn new(inner: MemoryBackend) -> Self {
        let gate = Gate {
            is_open: watch::Sender::new(true),
            never_runs: AtomicBool::new(false),
            away: Mutex::default(),
            does_not_run: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            loses_answers: AtomicBool::new(false),
            begun: watch::Sender::new(0),
            ended: watch::Sender::new(0),
        };
        Self { inner, decides_now: false, gate: Arc::new(gate) }
    }

    pub(crate) fn with_clock(clock: &ManualClock) -> Self {
        Self::new(MemoryBackend::with_clock("test", clock.clone()))
    }

    pub(crate) fn open(&self, is_open: bool) {
        self.gate.is_open.send_replace(is_open);
    }

    async fn adjust_those_at_hand(
        &self,
        adjustments: &[Adjustment<'_>],
    ) -> std::result::Result<Vec<Adjusted>, BackendError> {
        let away = self.gate.away.lock().unwrap_or_else(PoisonError::into_inner).take();
        let is_away = |adjustment: &Adjustment<'_>| away.as_ref() == Some(adjustment.charge.hit.key);
        let at_hand: Vec<_> = adjustments.iter().filter(|adjustment| !is_away(adjustment)).copied().collect();
        let mut adjusted = self.inner.adjust(&at_hand).await?.into_iter();
        let all = adjustments.iter().filter_map(|adjustment| {
            if is_away(adjustment) { Some(Err(BackendError::not_run("it is away").into())) } else { adjusted.next() }
        });
        Ok(all.collect())
    }

    async fn pass<T>(
        &self,
        call: impl Future<Output = std::result::Result<T, BackendError>>,
    ) -> std::result::Result<T, BackendError> {
        let Gate { is_open, never_runs, does_not_run, panics, loses_answers, begun, ended, .. } = &*self.gate;
        // Backends with timers or sockets need a runtime, too.
        let _runtime = Handle::current();
        begun.send_modify(|begun| *begun += 1);
        assert!(!panics.swap(false, Ordering::Relaxed), "this panic is intended");
        let _ = is_open.subscribe().wait_for(|is_open| *is_open).await;
        let answer = if does_not_run.swap(false, Ordering::Relaxed) || never_runs.load(Ordering::Relaxed) {
            Err(BackendError::not_run("it is away"))
        } else {
            call.await
        };
        ended.send_modify(|ended| *ended += 1);
        if loses_answers.load(Ordering::Relaxed) {
            return Err(BackendError::unavailable("the connection was lost"));
        }
        answer
    }
}

impl Gate {
    pub(crate) fn begun(&self) -> usize {
        *self.begun.borrow()
    }
}

/// Waits until this many calls began or ended.
pub(crate) async fn until(count: &watch::Sender<usize>, calls: usize) {
    let reached =
        timeout(Duration::from_secs(10), async { count.subscribe().wait_for(|count| *count >= calls).await.is_ok() });
    assert!(matches!(reached.await, Ok(true)), "{} of {calls}", *count.borrow());
}

impl Backend for Gated {
    fn namespace(&self) -> &str {
        self.inner.namespace()
    }

    fn clock(&self) -> AnyClock {
        Backend::clock(&self.inner)
    }

    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        assert!(!hits.is_empty(), "the call has no charges");
        let answer = self.inner.decide(hits);
        if self.decides_now { answer } else { MaybeReady::pending(async move { answer.await }) }
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        self.inner.peek(hits)
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        let owned = owned(adjustments);
        MaybeReady::pending(async move {
            let adjustments = &adjustments_of(&owned)[..];
            self.pass(self.adjust_those_at_hand(adjustments)).await
        })
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        let owned = owned(charges);
        MaybeReady::pending(async move {
            let charges = &charges_of(&owned)[..];
            self.pass(async { self.inner.renew(charges).await }).await
        })
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        self.inner.control(request)
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        self.inner.reset(hits)
    }

    fn clear(&self) -> Answer<'_, ()> {
        self.inner.clear()
    }

    fn close(&self) -> Answer<'_, ()> {
        self.inner.close()
    }
}
