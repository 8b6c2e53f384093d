use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use traffik_core::{
    backend::{Answer, Backend, BackendError, Control, ControlRequest, MaybeReady},
    clock::{AnyClock, Timestamp},
    decision::{Adjusted, Adjustment, Charge, Decision, Hit},
};

use super::store::{Settings, Store};

/// A backend that keeps its entries in this process: no server, no waiting, exact under any concurrency.
///
/// Clones are the same store. What it holds is gone with the process, and a second process has limits of its own: for
/// one limit across processes use a backend that they share.
///
/// # Bounded
///
/// It never holds more than [`max_entries`](super::MemoryBackendBuilder::max_entries) entries (one a client and limit), whatever comes in.
/// Expired entries leave a few at a time as others arrive, so that no request waits for a sweep and no task has to be
/// kept alive. When it is full, room is made within one shard: expired entries go first, then clients that are not
/// refused at present, those with most left first, and only then the refused client whose wait ends soonest. Each entry
/// that had to go before it expired is counted by [`evictions`](Self::evictions) and warned of.
///
/// An entry takes 47 bytes with its place in the index, where the store is about full. A store of few clients takes little:
/// memory is asked for as they arrive, 256 entries of a shard at a time, and kept.
///
/// # Private
///
/// Clients are stored as digests of 128 bits under a seed that is drawn at random for each store, never as what was hashed.
///
/// # Fast
///
/// A decision about up to four limits of clients that are known takes no lock, unless it is about a log, and nothing from the
/// heap if it is about one or two. A refusal writes nothing then.
///
/// # Example
///
/// ```
/// use traffik::{MemoryBackend, Traffik};
///
/// let backend = MemoryBackend::builder("myapp").max_entries(100_000).build()?;
/// let traffik = Traffik::new(backend)?;
/// assert_eq!(traffik.namespace(), "myapp");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct MemoryBackend {
    store: Arc<Store>,
}

impl MemoryBackend {
    pub(super) fn with(settings: Settings) -> Self {
        Self { store: Arc::new(Store::new(settings)) }
    }

    /// How many entries it holds now, expired ones that did not leave yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.shards.len()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries had to go before they expired, because the store was full.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.store.evictions.load(Ordering::Relaxed)
    }

    #[inline]
    fn open(&self) -> Result<&Store, BackendError> {
        if self.store.closed.load(Ordering::Acquire) { Err(BackendError::Closed) } else { Ok(&self.store) }
    }
}

/// Its name and numbers, and nothing of what it holds.
impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend")
            .field("namespace", &self.store.settings.namespace)
            .field("max_entries", &self.store.settings.max_entries)
            .field("evictions", &self.evictions())
            .finish_non_exhaustive()
    }
}

impl Backend for MemoryBackend {
    fn namespace(&self) -> &str {
        &self.store.settings.namespace
    }

    fn clock(&self) -> AnyClock {
        self.store.settings.clock.clone()
    }

    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        let store = match self.open() {
            Ok(store) => store,
            Err(closed) => return MaybeReady::Ready(Err(closed)),
        };
        // Each is returned where it is made: to move a decision takes longer than to make it.
        if let [hit] = hits {
            if let Some(outcome) = store.decide_one(hit) {
                return MaybeReady::Ready(Ok(outcome.into()));
            }
        } else if let Some(decision) = store.decide_few(hits) {
            return MaybeReady::Ready(Ok(decision));
        }
        MaybeReady::Ready(store.decide_locked(hits))
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        MaybeReady::Ready(self.open().and_then(|store| store.peek(hits)))
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        MaybeReady::Ready(self.open().map(|store| store.adjust(adjustments)))
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        MaybeReady::Ready(self.open().map(|store| store.renew(charges)))
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        MaybeReady::Ready(self.open().map(|store| store.reset(hits)))
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        MaybeReady::Ready(self.open().and_then(|store| store.control.answer(request)))
    }

    fn clear(&self) -> Answer<'_, ()> {
        MaybeReady::Ready(self.open().map(|store| store.shards.clear()))
    }

    /// Forgets everything, and decides nothing from then on.
    fn close(&self) -> Answer<'_, ()> {
        self.store.closed.store(true, Ordering::Release);
        self.store.shards.clear();
        MaybeReady::Ready(Ok(()))
    }
}
