//! All shards of a store, each with its lock.

use std::{hint, thread, time::Duration};

use crossbeam_utils::Backoff;
use spin::mutex::{SpinMutex, SpinMutexGuard};

use super::{hash::ClientHash, shard::Shard};

/// The number of entries in a shard, if there are several shards: enough that random keys fill them evenly, and few
/// enough that a table grows in less than a millisecond. A shard holds fewer than twice this number.
const SHARD_ENTRIES: usize = 4096;

/// How often a thread spins before it looks at a locked shard again: for as long as several decisions take. Threads that look
/// sooner take its cache lines from each other for every decision.
const FIRST_SPINS: usize = 16;

/// How long a thread sleeps at first that waits for a shard: its lock is held by a thread that does not run, by a custom
/// strategy, or while entries are moved or ranked.
const SHORTEST_NAP: Duration = Duration::from_micros(50);
const LONGEST_NAP: Duration = Duration::from_millis(1);

/// All shards of a store, each with its lock.
pub(super) struct Shards {
    shards: Box<[Aligned]>,
    /// The maximum number of entries in each.
    pub(super) max_entries: usize,
}

/// A shard, alone on its cache lines.
///
/// Its lock is a flag, and unlocking is a plain write of it. Most locks unlock by a second read-modify-write operation, which
/// keeps a processor from starting the next decision. It took up to a fifth of the time of a decision (Zen 3).
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

/// Locks a shard once it is free. A thread that waits spins for some microseconds, then lets others run, and at last
/// sleeps for longer each time. It begins again where another thread was faster: no order is kept.
#[cold]
fn wait(shard: &SpinMutex<Shard>) -> LockedShard<'_> {
    loop {
        (0..FIRST_SPINS).for_each(|_| hint::spin_loop());
        let (backoff, mut nap) = (Backoff::new(), SHORTEST_NAP);
        while shard.is_locked() {
            if backoff.is_completed() {
                thread::sleep(nap);
                nap = (2 * nap).min(LONGEST_NAP);
            } else {
                backoff.snooze();
            }
        }
        if let Some(locked) = shard.try_lock() {
            return locked;
        }
    }
}
