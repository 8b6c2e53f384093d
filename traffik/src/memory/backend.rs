use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use traffik_core::{
    OutOfRange,
    backend::{Adjusted, Answer, Backend, Control, ControlRequest, MaybeReady},
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit},
};

use super::store::{Settings, Store};
use crate::warning::Warning;

/// The limits of the longest tuple, twice.
const MIN_ENTRIES: usize = 16;

/// This number of entries takes about 14 gigabytes.
const MAX_ENTRIES: usize = 1 << 28;

/// A backend that keeps its entries in this process: it calls no server, never waits, and is exact under any
/// concurrency.
///
/// Clones share one store. Its entries end with the process, and each process has limits of its own. For one limit
/// across processes use a shared backend such as Redis.
///
/// # Memory
///
/// The store never holds more than [`max_entries`](super::MemoryBackendBuilder::max_entries) entries, one for each
/// client and limit. Expired entries are removed when their shard is full, and a second after they expired when it would
/// have to grow. No task is needed.
///
/// A full store evicts within one shard: expired entries first, then clients that are not refused at present, those
/// with the most remaining first, and last the refused client whose wait ends soonest. Entries that expire meanwhile are
/// found at the next ranking, which comes after one in four entries was evicted. [`evictions`](Self::evictions) counts entries
/// that were evicted before they expired, and a warning is logged.
///
/// An entry takes 40 bytes, and from 53 to 80 with its share of the vacant places. Logs take more, and so does a full store:
/// 9 bytes for each entry, to evict the next. Memory is allocated as clients arrive, and kept.
///
/// # Privacy
///
/// Clients are stored as digests of 95 bits under a random seed for each store, never as plain text.
///
/// # Performance
///
/// A decision locks one of the shards, which have about 4000 entries, or one for each of its clients. A decision about
/// up to four limits of known clients allocates nothing, except for logs and where the rate has changed. A refusal changes
/// no entry, unless the clock went back.
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
    /// Creates an empty store for at most 1 000 000 entries, which reads the system's clock.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self::with(Self::builder(namespace).settings)
    }

    /// Creates an empty store that reads this clock. See [`test`](crate::test) for a manual clock.
    pub fn with_clock(namespace: impl Into<String>, clock: impl Into<AnyClock>) -> Self {
        Self::with(Self::builder(namespace).clock(clock).settings)
    }

    /// Creates a builder for a store with other settings.
    pub fn builder(namespace: impl Into<String>) -> MemoryBackendBuilder {
        let (namespace, clock) = (namespace.into(), AnyClock::system());
        let max_entries = MemoryBackendBuilder::DEFAULT_MAX_ENTRIES;
        MemoryBackendBuilder { settings: Settings { namespace, clock, max_entries, is_silent: false } }
    }

    fn with(settings: Settings) -> Self {
        Self { store: Arc::new(Store::new(settings)) }
    }

    /// Returns the number of entries, including expired ones that were not removed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.shards.all().map(|shard| shard.len()).sum()
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
        self.store.decide(hits)
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        MaybeReady::Ready(self.store.peek(hits))
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        MaybeReady::Ready(self.store.adjust(adjustments))
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        MaybeReady::Ready(self.store.renew(charges))
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        MaybeReady::Ready(self.store.reset(hits))
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        MaybeReady::Ready(self.store.check_open().and_then(|()| self.store.control.answer(request)))
    }

    fn clear(&self) -> Answer<'_, ()> {
        MaybeReady::Ready(self.store.check_open().map(|()| self.store.clear()))
    }

    /// Removes everything, and rejects later calls.
    fn close(&self) -> Answer<'_, ()> {
        self.store.close();
        MaybeReady::Ready(Ok(()))
    }
}

/// Sets up a [`MemoryBackend`]: see [`MemoryBackend::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct MemoryBackendBuilder {
    settings: Settings,
}

impl MemoryBackendBuilder {
    /// The default of [`max_entries`](Self::max_entries).
    pub const DEFAULT_MAX_ENTRIES: usize = 1_000_000;

    /// Sets the clock. Defaults to the system's.
    pub fn clock(mut self, clock: impl Into<AnyClock>) -> Self {
        self.settings.clock = clock.into();
        self
    }

    /// Sets the maximum number of entries, from 16 to 2^28. Defaults to 1 000 000. Each limit of each recent client
    /// takes one entry.
    ///
    /// A decision about more hits than a shard can hold returns an error.
    pub fn max_entries(mut self, max_entries: usize) -> Self {
        self.settings.max_entries = max_entries;
        self
    }

    /// Disables [`Warning::MemoryFull`]. The app logs the other warnings, and silences them.
    ///
    /// [`MemoryBackend::evictions`] counts either way.
    pub fn silence(mut self, warning: Warning) -> Self {
        self.settings.is_silent |= warning == Warning::MemoryFull;
        self
    }

    /// Creates the store, which is empty.
    ///
    /// # Errors
    ///
    /// Returns an error if `max_entries` is out of its range.
    pub fn build(self) -> Result<MemoryBackend, OutOfRange> {
        let range = MIN_ENTRIES as u64..=MAX_ENTRIES as u64;
        OutOfRange::check("MemoryBackendBuilder::max_entries", self.settings.max_entries as u64, range)?;
        Ok(MemoryBackend::with(self.settings))
    }
}
