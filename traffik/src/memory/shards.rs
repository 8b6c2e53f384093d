//! All shards of a store, each with its lock.

use std::{hint, thread, time::Duration};

use crossbeam_utils::Backoff;
use spin::mutex::{SpinMutex, SpinMutexGuard};

use super::{hash::ClientHash, shard::Shard};

/// The number of entries in a shard, if there are several shards: enough that random keys fill them evenly, and few
/// enough that a table grows in less than a millisecond. A shard holds fewer than twice this number.
const SHARD_ENTRIES: usize = 4096;

/// How long a thread sleeps at a time that has waited for a shard in vain. Only custom strategies take that long.
const NAP: Duration = Duration::from_micros(50);

/// All shards of a store, each with its lock.
pub(super) struct Shards {
    shards: Box<[Aligned]>,
    /// The maximum number of entries in each.
    pub(super) max_entries: usize,
}

/// A shard, alone on its cache lines.
///
/// It is unlocked by a store, and not by a read-modify-write operation as other locks are: the next decision of a thread
/// does not have to wait until this one is visible to other processors, which takes as long as a fifth of a decision.
#[repr(align(128))]
struct Aligned(SpinMutex<Shard>);

/// A locked shard.
pub(super) type LockedShard<'a> = SpinMutexGuard<'a, Shard>;

impl Shards {
    /// Creates shards for `max_entries` in total. A low maximum gives few shards, because a small shard has few
    /// candidates for eviction.
    pub(super) fn new(max_entries: usize) -> Self {
        let shards = (max_entries / SHARD_ENTRIES).max(1);
        let max_entries = max_entries / shards;
        Self { shards: (0..shards).map(|_| Aligned(SpinMutex::new(Shard::new(max_entries)))).collect(), max_entries }
    }

    /// Returns the number of the shard that has the entries of a client.
    #[inline]
    pub(super) fn locate(&self, client: ClientHash) -> usize {
        ((client.shard() * self.shards.len() as u64) >> 32) as usize
    }

    /// Waits for a shard and locks it.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "`locate` returns less than the number of shards")]
    pub(super) fn lock(&self, shard: usize) -> LockedShard<'_> {
        // A shard is consistent at any time, also after a panic of a custom strategy.
        let Aligned(shard) = &self.shards[shard];
        shard.try_lock().unwrap_or_else(|| wait(shard))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = LockedShard<'_>> {
        (0..self.shards.len()).map(|shard| self.lock(shard))
    }
}

/// Waits for a locked shard: for some decisions of others by spinning, and then by giving up the processor, which the
/// thread that holds the lock may need.
#[cold]
fn wait(shard: &SpinMutex<Shard>) -> LockedShard<'_> {
    let backoff = Backoff::new();
    loop {
        while shard.is_locked() {
            if backoff.is_completed() { thread::sleep(NAP) } else { backoff.snooze() }
        }
        if let Some(locked) = shard.try_lock() {
            return locked;
        }
        hint::spin_loop();
    }
}
