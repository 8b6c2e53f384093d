//! All shards of a store, each with its lock.

use parking_lot::{Mutex, MutexGuard};

use super::{hash::ClientHash, shard::Shard};

/// The number of entries in a shard, if there are several shards: enough that random keys fill them evenly, and few
/// enough that a pass over all of them takes less than a millisecond. A shard holds fewer than twice this number.
const SHARD_ENTRIES: usize = 8192;

pub(super) struct Shards {
    shards: Box<[Aligned]>,
    /// The maximum number of entries in each.
    pub(super) max_entries: usize,
}

/// A shard, alone on its cache lines.
///
/// Threads that wait spin longer than for a lock of the standard library, which costs less than to put them to sleep.
#[repr(align(128))]
struct Aligned(Mutex<Shard>);

impl Shards {
    /// Creates shards for `max_entries` in total. A low maximum gives few shards, because a small shard has few
    /// candidates for eviction.
    pub(super) fn new(max_entries: usize) -> Self {
        let shards = (max_entries / SHARD_ENTRIES).max(1);
        let max_entries = max_entries / shards;
        Self { shards: (0..shards).map(|_| Aligned(Mutex::new(Shard::new(max_entries)))).collect(), max_entries }
    }

    /// Returns the number of the shard that has the entries of a client.
    #[inline]
    pub(super) fn locate(&self, client: ClientHash) -> usize {
        ((client.shard() * self.shards.len() as u64) >> 32) as usize
    }

    /// Waits for a shard and locks it.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "`locate` returns less than the number of shards")]
    pub(super) fn lock(&self, shard: usize) -> MutexGuard<'_, Shard> {
        // A shard is consistent at any time, also after a panic of a custom strategy.
        self.shards[shard].0.lock()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        (0..self.shards.len()).map(|shard| self.lock(shard))
    }
}
