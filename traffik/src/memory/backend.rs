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

/// A backend that keeps its entries in this process: it calls no server, never waits, and is exact under any
/// concurrency.
///
/// Clones share one store. Its entries end with the process, and each process has limits of its own. For one limit
/// across processes use a shared backend such as Redis.
///
/// # Memory
///
/// The store never holds more than [`max_entries`](super::MemoryBackendBuilder::max_entries) entries, one for each
/// client and limit. Each new entry removes a few expired ones, so no request waits for a sweep and no task is needed.
///
/// A full store evicts within one shard: expired entries first, then clients that are not refused at present, those
/// with the most remaining first, and last the refused client whose wait ends soonest. [`evictions`](Self::evictions)
/// counts entries that were evicted before they expired, and a warning is logged.
///
/// An entry takes 48 bytes including the index when the store is nearly full. A store of few clients takes little:
/// memory is allocated as they arrive, 256 entries of a shard at a time, and kept.
///
/// # Privacy
///
/// Clients are stored as digests of 128 bits under a random seed for each store, never as plain text.
///
/// # Performance
///
/// A decision about up to four limits of known clients takes no lock, except for logs. With one or two limits it
/// allocates nothing. A refusal then writes nothing.
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

    /// Returns the number of entries, including expired ones that were not removed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.shards.len()
    }

    /// Returns whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of entries that were evicted before they expired, because the store was full.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.store.evictions.load(Ordering::Relaxed)
    }

    #[inline]
    fn open(&self) -> Result<&Store, BackendError> {
        if self.store.closed.load(Ordering::Acquire) { Err(BackendError::Closed) } else { Ok(&self.store) }
    }
}

/// Shows the name and numbers, and no clients.
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
        // Each is returned where it is made, because moving a decision takes longer than making it.
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

    /// Removes everything, and rejects later calls.
    fn close(&self) -> Answer<'_, ()> {
        self.store.closed.store(true, Ordering::Release);
        self.store.shards.clear();
        MaybeReady::Ready(Ok(()))
    }
}
