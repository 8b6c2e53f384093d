//! The backend that keeps everything in this process.

mod decide;
mod digest;
mod known;
mod shard;
mod shards;
mod sync;
mod together;
mod turnstile;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use traffik_core::{
    backend::{Answer, Backend, BackendError, MaybeReady},
    clock::{AnyClock, Timestamp},
    decision::{Decision, Hit, Receipt},
};

use self::{digest::Seed, shards::Shards};
use crate::warning::Warning;

/// A backend that keeps its entries in this process: no server, no waiting, exact under any concurrency.
///
/// Clones are the same store. What it holds is gone with the process, and a second process has limits of its own: for
/// one limit across processes use a backend that they share.
///
/// # Bounded
///
/// It never holds more than [`max_entries`](Self::max_entries) entries (one a client and limit), whatever comes in.
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
/// use traffik::{Traffik, backend::MemoryBackend};
///
/// let traffik = Traffik::new(MemoryBackend::new("myapp").max_entries(100_000));
/// assert_eq!(traffik.namespace(), "myapp");
/// ```
#[derive(Clone)]
pub struct MemoryBackend {
    store: Arc<Store>,
}

struct Store {
    namespace: String,
    clock: AnyClock,
    seed: Seed,
    shards: Shards,
    /// Whether it does not warn that it is full.
    is_silent: bool,
    evictions: AtomicU64,
    closed: AtomicBool,
}

impl MemoryBackend {
    /// How many entries a store holds unless told otherwise.
    pub const DEFAULT_MAX_ENTRIES: usize = 1_000_000;

    /// An empty store.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self::empty(namespace.into(), AnyClock::system(), Self::DEFAULT_MAX_ENTRIES, false)
    }

    /// An empty store of the same name that goes by `clock`. It is another store: set it up before it is shared.
    #[must_use]
    pub fn clock(self, clock: impl Into<AnyClock>) -> Self {
        let Store { namespace, shards, is_silent, .. } = &*self.store;
        Self::empty(namespace.clone(), clock.into(), shards.max_entries(), *is_silent)
    }

    /// An empty store of the same name, another one, that holds at most `max_entries` entries: one for each limit of each
    /// client that used it lately. At least 16; a decision about more hits than a shard holds is an error.
    #[must_use]
    pub fn max_entries(self, max_entries: usize) -> Self {
        let Store { namespace, clock, is_silent, .. } = &*self.store;
        Self::empty(namespace.clone(), clock.clone(), max_entries, *is_silent)
    }

    /// An empty store of the same name, another one, that does not warn of this, which is meant so: of
    /// [`Warning::MemoryFull`], since the others are the app's. What it forgets early is [counted](Self::evictions) all the
    /// same.
    #[must_use]
    pub fn silence(self, warning: Warning) -> Self {
        let Store { namespace, clock, shards, is_silent, .. } = &*self.store;
        let is_silent = *is_silent || warning == Warning::MemoryFull;
        Self::empty(namespace.clone(), clock.clone(), shards.max_entries(), is_silent)
    }

    fn empty(namespace: String, clock: AnyClock, max_entries: usize, is_silent: bool) -> Self {
        Self {
            store: Arc::new(Store {
                namespace,
                clock,
                seed: Seed::random(),
                shards: Shards::new(max_entries),
                is_silent,
                evictions: AtomicU64::new(0),
                closed: AtomicBool::new(false),
            }),
        }
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

impl Store {
    /// Counts what had to go, and warns of the first and then whenever the count has doubled: a flood of strangers must
    /// not become a flood of log lines.
    fn count_evictions(&self, evicted: u64) {
        if evicted == 0 {
            return;
        }
        let before = self.evictions.fetch_add(evicted, Ordering::Relaxed);
        let total = before.saturating_add(evicted);
        if !self.is_silent && (before == 0 || before.ilog2() != total.ilog2()) {
            tracing::warn!(
                warning = Warning::MemoryFull.name(),
                docs = Warning::MemoryFull.docs(),
                namespace = self.namespace,
                evictions = total,
                max_entries = self.shards.max_entries(),
                "the memory backend is full and forgets clients before their entries expire: raise `max_entries`, or \
                 look for who sends from so many addresses"
            );
        }
    }
}

/// Its name and numbers, and nothing of what it holds.
impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend")
            .field("namespace", &self.store.namespace)
            .field("max_entries", &self.store.shards.max_entries())
            .field("evictions", &self.evictions())
            .finish_non_exhaustive()
    }
}

impl Backend for MemoryBackend {
    fn namespace(&self) -> &str {
        &self.store.namespace
    }

    fn clock(&self) -> AnyClock {
        self.store.clock.clone()
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
        MaybeReady::Ready(store.decide_together(hits))
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        MaybeReady::Ready(self.open().and_then(|store| store.peek(hits)))
    }

    fn refund<'a>(&'a self, receipts: &[Receipt<'_>]) -> Answer<'a, ()> {
        MaybeReady::Ready(self.open().map(|store| store.refund(receipts)))
    }

    fn renew<'a>(&'a self, receipts: &[Receipt<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        MaybeReady::Ready(self.open().map(|store| store.renew(receipts)))
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        MaybeReady::Ready(self.open().map(|store| store.reset(hits)))
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
