//! A backend that fails or hangs on demand.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::watch;
use traffik::{
    backend::{Adjusted, Answer, Backend, BackendError, Control, ControlRequest, MaybeReady, MemoryBackend},
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit},
};

use crate::{
    gated::until,
    owned::{adjustments_of, charges_of, hits_of, owned},
};

/// A backend that can be made to fail, or never to answer.
#[derive(Clone, Debug)]
pub(crate) struct Unsteady {
    inner: MemoryBackend,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    mood: AtomicUsize,
    asked: watch::Sender<usize>,
}

const ANSWERS: usize = 0;
const FAILS: usize = 1;
const HANGS: usize = 2;
const REFUNDS_FAIL: usize = 3;
const REFUNDS_HANG: usize = 4;

impl Unsteady {
    pub(crate) fn new(inner: MemoryBackend) -> Self {
        Self { inner, shared: Arc::default() }
    }

    pub(super) fn answers(&self) {
        self.shared.mood.store(ANSWERS, Ordering::SeqCst);
    }

    pub(crate) fn fails(&self) {
        self.shared.mood.store(FAILS, Ordering::SeqCst);
    }

    pub(super) fn hangs(&self) {
        self.shared.mood.store(HANGS, Ordering::SeqCst);
    }

    /// Returns the number of stored entries.
    pub(super) fn len(&self) -> usize {
        self.inner.len()
    }

    /// Makes every later refund fail, while decisions still work.
    pub(super) fn refunds_fail(&self) {
        self.shared.mood.store(REFUNDS_FAIL, Ordering::SeqCst);
    }

    /// Makes every later refund hang, while decisions still work.
    pub(super) fn refunds_hang(&self) {
        self.shared.mood.store(REFUNDS_HANG, Ordering::SeqCst);
    }

    /// Waits until it received this many calls in all: decisions, and refunds that hang.
    pub(super) async fn asked(&self, times: usize) {
        until(&self.shared.asked, times).await;
    }

    fn mood(&self) -> usize {
        self.shared.mood.load(Ordering::SeqCst)
    }

    async fn answer<T>(&self, answer: impl Future<Output = Result<T, BackendError>>) -> Result<T, BackendError> {
        match self.mood() {
            FAILS => Err(lost()),
            HANGS => pending().await,
            _ => answer.await,
        }
    }
}

fn lost() -> BackendError {
    BackendError::unavailable("10.0.0.7:6379 refused the connection")
}

impl Backend for Unsteady {
    fn namespace(&self) -> &str {
        self.inner.namespace()
    }

    fn clock(&self) -> AnyClock {
        Backend::clock(&self.inner)
    }

    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let owned = owned(hits);
        MaybeReady::pending(async move {
            let hits = &hits_of(&owned)[..];
            self.shared.asked.send_modify(|asked| *asked += 1);
            self.answer(async { self.inner.decide(hits).await }).await
        })
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let owned = owned(hits);
        MaybeReady::pending(async move {
            let hits = &hits_of(&owned)[..];
            self.answer(async { self.inner.peek(hits).await }).await
        })
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        let owned = owned(adjustments);
        MaybeReady::pending(async move {
            let adjustments = &adjustments_of(&owned)[..];
            match self.mood() {
                REFUNDS_FAIL => Err(lost()),
                REFUNDS_HANG => {
                    self.shared.asked.send_modify(|asked| *asked += 1);
                    pending().await
                }
                _ => self.answer(async { self.inner.adjust(adjustments).await }).await,
            }
        })
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        let owned = owned(charges);
        MaybeReady::pending(async move {
            let charges = &charges_of(&owned)[..];
            self.answer(async { self.inner.renew(charges).await }).await
        })
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        self.inner.control(request)
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        let owned = owned(hits);
        MaybeReady::pending(async move {
            let hits = &hits_of(&owned)[..];
            self.answer(async { self.inner.reset(hits).await }).await
        })
    }

    fn clear(&self) -> Answer<'_, ()> {
        MaybeReady::pending(async move { self.answer(async { self.inner.clear().await }).await })
    }

    fn close(&self) -> Answer<'_, ()> {
        self.inner.close()
    }
}
