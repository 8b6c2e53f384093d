//! A backend that does not always answer.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use traffik::{
    backend::{Backend, BackendError, MemoryBackend},
    clock::AnyClock,
    decision::{Decision, Hit, Receipt},
};

/// A backend that can be made to fail, or never to answer.
#[derive(Clone, Debug)]
pub(super) struct Unsteady {
    inner: MemoryBackend,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    mood: AtomicUsize,
    asked: AtomicUsize,
}

const ANSWERS: usize = 0;
const FAILS: usize = 1;
const HANGS: usize = 2;
const REFUNDS_FAIL: usize = 3;
const REFUNDS_HANG: usize = 4;

impl Unsteady {
    pub(super) fn new(inner: MemoryBackend) -> Self {
        Self { inner, shared: Arc::default() }
    }

    pub(super) fn answers(&self) {
        self.shared.mood.store(ANSWERS, Ordering::SeqCst);
    }

    pub(super) fn fails(&self) {
        self.shared.mood.store(FAILS, Ordering::SeqCst);
    }

    pub(super) fn hangs(&self) {
        self.shared.mood.store(HANGS, Ordering::SeqCst);
    }

    /// How many entries it holds.
    pub(super) fn len(&self) -> usize {
        self.inner.len()
    }

    /// From now on it decides, but takes nothing back.
    pub(super) fn refunds_fail(&self) {
        self.shared.mood.store(REFUNDS_FAIL, Ordering::SeqCst);
    }

    /// From now on it decides, but never answers when it is to take something back.
    pub(super) fn refunds_hang(&self) {
        self.shared.mood.store(REFUNDS_HANG, Ordering::SeqCst);
    }

    /// Waits until it was asked this often in all: for decisions, and for refunds that hang.
    pub(super) async fn asked(&self, times: usize) {
        for _ in 0..1_000_000 {
            if self.shared.asked.load(Ordering::SeqCst) >= times {
                return;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(self.shared.asked.load(Ordering::SeqCst), times, "it was not asked");
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

    async fn decide(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        self.shared.asked.fetch_add(1, Ordering::SeqCst);
        self.answer(self.inner.decide(hits)).await
    }

    async fn peek(&self, hits: &[Hit<'_>]) -> Result<Decision, BackendError> {
        self.answer(self.inner.peek(hits)).await
    }

    async fn refund(&self, receipts: &[Receipt<'_>]) -> Result<(), BackendError> {
        match self.mood() {
            REFUNDS_FAIL => Err(lost()),
            REFUNDS_HANG => {
                self.shared.asked.fetch_add(1, Ordering::SeqCst);
                pending().await
            }
            _ => self.answer(self.inner.refund(receipts)).await,
        }
    }

    async fn reset(&self, hits: &[Hit<'_>]) -> Result<(), BackendError> {
        self.answer(self.inner.reset(hits)).await
    }

    async fn clear(&self) -> Result<(), BackendError> {
        self.answer(self.inner.clear()).await
    }

    async fn close(&self) -> Result<(), BackendError> {
        self.inner.close().await
    }
}
