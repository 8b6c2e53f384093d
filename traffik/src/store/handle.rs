//! The backends of one app: its own, and those that throttles name.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use traffik_core::{
    backend::{Answer, Backend, BackendError, MaybeReady},
    clock::AnyClock,
    decision::{Decision, Hit, Receipt},
};

use super::{deadline::within, leases::Leases};

/// A backend of an app, and how long its answers are waited for.
pub(crate) struct Store {
    /// What throttles call it, unless it is the app's own.
    name: Option<&'static str>,
    pub(super) backend: Arc<dyn Backend>,
    /// The clock that its deadlines go by.
    clock: AnyClock,
    timeout: Duration,
    /// Whether it admitted anything without waiting.
    is_immediate: AtomicBool,
    /// The places that are held in it.
    pub(super) leases: Leases,
}

impl Store {
    pub(crate) fn new(
        name: Option<&'static str>,
        backend: Arc<dyn Backend>,
        clock: AnyClock,
        timeout: Duration,
    ) -> Self {
        Self { name, backend, clock, timeout, is_immediate: AtomicBool::new(false), leases: Leases::default() }
    }

    /// Returns a handle for a backend that stands in for this one, with the same timeout.
    pub(crate) fn standby(&self, backend: Arc<dyn Backend>) -> Self {
        Self::new(None, backend, self.clock.clone(), self.timeout)
    }

    pub(crate) fn clock(&self) -> &AnyClock {
        &self.clock
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn namespace(&self) -> &str {
        self.backend.namespace()
    }

    /// Starts a decision.
    pub(crate) fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let answer = self.backend.decide(hits);
        if !self.is_immediate() && matches!(&answer, MaybeReady::Ready(Ok(decision)) if decision.is_admitted()) {
            self.is_immediate.store(true, Ordering::Relaxed);
        }
        answer
    }

    /// Starts a peek.
    pub(crate) fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        self.backend.peek(hits)
    }

    pub(crate) async fn refund(&self, receipts: &[Receipt<'_>]) -> Result<(), BackendError> {
        self.in_time(self.backend.refund(receipts)).await
    }

    /// Whether it admits without waiting, and so is likely to give back without waiting.
    pub(crate) fn is_immediate(&self) -> bool {
        self.is_immediate.load(Ordering::Relaxed)
    }

    pub(crate) async fn reset(&self, hits: &[Hit<'_>]) -> Result<(), BackendError> {
        self.in_time(self.backend.reset(hits)).await
    }

    pub(crate) async fn clear(&self) -> Result<(), BackendError> {
        self.backend.clear().await
    }

    pub(crate) async fn close(&self) -> Result<(), BackendError> {
        self.in_time(self.backend.close()).await
    }

    /// Receives an answer within the deadline.
    pub(crate) async fn in_time<T>(&self, answer: Answer<'_, T>) -> Result<T, BackendError> {
        within(&self.clock, self.timeout, answer).await
    }
}

/// What it is called, and nothing of what is kept there.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, namespace) = (self.name, self.namespace());
        f.debug_struct("Store").field("name", &name).field("namespace", &namespace).finish_non_exhaustive()
    }
}

/// All backends of an app.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stores {
    /// Nothing, where everything is admitted.
    own: Option<Arc<Store>>,
    named: Vec<Arc<Store>>,
}

impl Stores {
    pub(crate) fn new(own: Store, named: impl IntoIterator<Item = Store>) -> Self {
        Self { own: Some(Arc::new(own)), named: named.into_iter().map(Arc::new).collect() }
    }

    /// That of every throttle that names none.
    pub(crate) fn own(&self) -> Option<&Arc<Store>> {
        self.own.as_ref()
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Arc<Store>> {
        self.named.iter().find(|store| store.name == Some(name))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.named.iter().filter_map(|store| store.name)
    }

    pub(crate) async fn clear(&self) -> Result<(), BackendError> {
        let mut all = Ok(());
        for store in self.iter() {
            all = all.and(store.clear().await);
        }
        all
    }

    pub(crate) async fn close(&self) -> Result<(), BackendError> {
        let mut all = Ok(());
        for store in self.iter() {
            all = all.and(store.close().await);
        }
        all
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Store>> {
        self.own.iter().chain(&self.named)
    }
}
