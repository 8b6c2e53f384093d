use traffik_core::{OutOfRange, clock::AnyClock};

use super::{backend::MemoryBackend, store::Settings};
use crate::warning::Warning;

/// The limits of the longest tuple, twice.
const MIN_ENTRIES: usize = 16;

/// This number of entries takes about 14 gigabytes.
const MAX_ENTRIES: usize = 1 << 28;

/// Sets up a [`MemoryBackend`]: see [`MemoryBackend::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct MemoryBackendBuilder {
    settings: Settings,
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
