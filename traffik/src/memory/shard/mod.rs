//! A shard: entries next to each other, an index from their keys to their positions, and a sequence lock.
//!
//! The state of an entry at a known rate is read and written through the sequence lock ([`Shard::find`]). Other
//! operations lock the shard ([`LockedShard`]): adding or removing an entry, changing its rate, and using a log.

mod entries;
mod entry;
mod eviction_queue;
mod eviction_rank;
mod index;
mod locked;
mod rate_table;

use slab::Slab;
use traffik_core::{decision::Hit, strategy::StoredState};

use self::{
    entries::Entries,
    entry::EntryMeta,
    eviction_queue::EvictionQueue,
    index::Index,
    rate_table::{PublishedRates, RateTable},
};
pub(super) use self::{entry::Entry, locked::LockedShard};
use super::{hash::KeyHash, seqlock::SeqLock};

/// A shard, alone on its cache lines.
#[repr(align(128))]
pub(super) struct Shard {
    pub(super) lock: SeqLock<LockedData>,
    index: Index,
    entries: Entries,
    rates: PublishedRates,
}

/// Data that is accessed only under the lock.
#[derive(Default)]
pub(super) struct LockedData {
    rates: RateTable,
    /// The states that are logs, and the rate of each.
    logs: Slab<StoredState>,
    /// The position at which the sweep goes on.
    sweep_at: usize,
    queue: EvictionQueue,
}

impl Shard {
    /// Creates a shard for at most `max_entries`, which is less than 2^15.
    pub(super) fn new(max_entries: usize) -> Self {
        Self {
            lock: SeqLock::default(),
            index: Index::new(max_entries),
            entries: Entries::new(max_entries),
            rates: PublishedRates::default(),
        }
    }

    pub(super) const fn max_entries(&self) -> usize {
        self.entries.max
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the entry of a hit and its state. Returns `None` if they can be accessed only with the shard locked: the
    /// entry has another rate than the hit, or is a log.
    #[inline]
    pub(super) fn find(&self, key: KeyHash, hit: &Hit<'_>) -> Option<(&Entry, StoredState)> {
        let entry = self.entries.get(self.position(key)?)?;
        let EntryMeta { rate, has_log, .. } = entry.meta();
        let can_be_read = !has_log && self.rates.is(rate, hit.rate);
        can_be_read.then(|| (entry, StoredState { state: entry.state(), rate: hit.rate }))
    }

    #[inline]
    fn position(&self, key: KeyHash) -> Option<usize> {
        self.index.find(key, |position| self.entries.get(position).is_some_and(|entry| entry.is(key)))
    }
}
