//! The table that entries live in: many shards, each a dense list under a lock of its own.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use super::{
    digest::Digest,
    entry::{Entry, Rank},
    leaving::Leaving,
};
use crate::{clock::Timestamp, decision::Hit, strategy::Past};

/// How many entries are looked at for each that arrives, to see whether they expired.
const SWEEP: usize = 4;

/// The smallest store: the limits of the longest tuple fit, and as many others.
const LEAST_ENTRIES: usize = 16;

/// How many entries a shard holds at least, where there is more than one: enough that chance fills all about alike.
const LEAST_ENTRIES_EACH: usize = 8192;

/// One shard: entries side by side, and an index from their digests to where they lie.
#[derive(Debug, Default)]
pub(super) struct Shard {
    entries: Vec<Entry>,
    index: HashTable<u32>,
    /// Where the sweep goes on.
    hand: usize,
    leaving: Leaving,
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, digest: Digest) -> Option<Past> {
        self.find(digest).map(|entry| entry.past)
    }

    pub(super) fn get_mut(&mut self, digest: Digest) -> Option<&mut Entry> {
        self.position(digest).and_then(|at| self.entries.get_mut(at))
    }

    /// Stores `past`, whether the entry is there or new. Room for a new one was made before, by [`Self::make_room`].
    pub(super) fn put(&mut self, digest: Digest, past: Past, hit: &Hit<'_>) {
        match self.get_mut(digest) {
            Some(entry) => entry.update(past, hit),
            None => self.insert(Entry::new(digest, past, hit)),
        }
    }

    pub(super) fn remove(&mut self, digest: Digest) {
        if let Some(position) = self.position(digest) {
            self.remove_at(position);
        }
    }

    /// Sees to it that `arriving` entries fit under the cap, and returns how many had to go that had not expired. None
    /// of those go that are to stay.
    pub(super) fn make_room(
        &mut self,
        arriving: usize,
        max_entries: usize,
        now: Timestamp,
        stays: impl Fn(Digest) -> bool,
    ) -> u64 {
        self.sweep(SWEEP * arriving, now, &stays);
        let excess = (self.len() + arriving).saturating_sub(max_entries);
        if excess == 0 { 0 } else { self.evict(excess, now, stays) }
    }

    /// Lets go of expired entries among the next few.
    fn sweep(&mut self, steps: usize, now: Timestamp, stays: impl Fn(Digest) -> bool) {
        for _ in 0..steps {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            match self.entries.get(self.hand) {
                Some(entry) if !entry.past.is_alive(now) && !stays(entry.digest) => self.remove_at(self.hand),
                Some(_) => self.hand += 1,
                None => return,
            }
        }
    }

    /// Lets `excess` entries go, those of the lowest rank.
    fn evict(&mut self, excess: usize, now: Timestamp, stays: impl Fn(Digest) -> bool) -> u64 {
        let mut evicted = 0;
        for _ in 0..excess {
            let Some((rank, digest)) = self.next_to_leave(now, &stays) else { break };
            self.remove(digest);
            evicted += u64::from(rank != Rank::Expired);
        }
        evicted
    }

    fn next_to_leave(&mut self, now: Timestamp, stays: impl Fn(Digest) -> bool) -> Option<(Rank, Digest)> {
        let mut leaving = std::mem::take(&mut self.leaving);
        let rank = |digest| self.find(digest).map(|entry| entry.rank(now));
        let queued = if leaving.is_stale() { None } else { leaving.next(rank, &stays) };
        let next = queued.or_else(|| {
            leaving = Leaving::look(&self.entries, now);
            leaving.next(rank, &stays)
        });
        self.leaving = leaving;
        next
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn find(&self, digest: Digest) -> Option<&Entry> {
        self.entries.get(self.position(digest)?)
    }

    fn position(&self, digest: Digest) -> Option<usize> {
        let Self { entries, index, .. } = self;
        let is_it = |&at: &u32| entries.get(at as usize).is_some_and(|entry| entry.digest == digest);
        index.find(hash(digest), is_it).map(|&at| at as usize)
    }

    fn insert(&mut self, entry: Entry) {
        // The cap of a store is cut so that a position always fits 32 bits.
        let Ok(at) = u32::try_from(self.entries.len()) else { return };
        let digest = entry.digest;
        self.entries.push(entry);
        self.leaving.join(digest);
        let Self { entries, index, .. } = self;
        index.insert_unique(hash(digest), at, |&at| entries.get(at as usize).map_or(0, |entry| hash(entry.digest)));
    }

    /// Removes an entry; the last one takes its place.
    fn remove_at(&mut self, position: usize) {
        let Some(digest) = self.entries.get(position).map(|entry| entry.digest) else { return };
        if let Ok(found) = self.index.find_entry(hash(digest), |&at| at as usize == position) {
            found.remove();
        }
        let last = self.entries.len() - 1;
        self.entries.swap_remove(position);
        if let Some(moved) = self.entries.get(position).map(|entry| entry.digest) {
            if let Some(at) = self.index.find_mut(hash(moved), |&at| at as usize == last) {
                *at = u32::try_from(position).unwrap_or(*at);
            }
        }
    }
}

/// The digest is random already: half of it is the hash.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
const fn hash(digest: Digest) -> u64 {
    digest as u64
}

/// All shards, and how many entries each may hold.
#[derive(Debug)]
pub(super) struct Shards {
    shards: Box<[Lock]>,
    max_entries: usize,
}

/// A shard under its lock, alone on its cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Lock(Mutex<Shard>);

impl Lock {
    /// A shard is whole after every statement, so a panic elsewhere cannot have left it in pieces.
    pub(super) fn lock(&self) -> MutexGuard<'_, Shard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shards {
    /// Shards for `max_entries` in all: few where they are few, so that a shard is never too small to choose from.
    pub(super) fn new(max_entries: usize) -> Self {
        let max_entries = max_entries.clamp(LEAST_ENTRIES, u32::MAX as usize);
        let shards = 1 << (max_entries / LEAST_ENTRIES_EACH).clamp(1, 64).ilog2();
        Self { shards: (0..shards).map(|_| Lock::default()).collect(), max_entries }
    }

    pub(super) const fn max_entries(&self) -> usize {
        self.max_entries
    }

    /// The cap of each shard: together never more than the store's.
    pub(super) fn max_entries_each(&self) -> usize {
        self.max_entries / self.shards.len()
    }

    /// Which shard a digest belongs to. The upper half decides, since the lower is the hash within the shard.
    #[expect(clippy::cast_possible_truncation, reason = "a few bits are wanted")]
    pub(super) fn of(&self, digest: Digest) -> usize {
        ((digest >> 64) as usize) & (self.shards.len() - 1)
    }

    /// Locks the shard that a digest belongs to.
    pub(super) fn lock(&self, digest: Digest) -> MutexGuard<'_, Shard> {
        self.lock_at(self.of(digest))
    }

    #[expect(clippy::indexing_slicing, reason = "`of` cuts to the number of shards")]
    pub(super) fn lock_at(&self, shard: usize) -> MutexGuard<'_, Shard> {
        self.shards[shard].lock()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Lock> {
        self.shards.iter()
    }

    pub(super) fn clear(&self) {
        self.iter().for_each(|shard| shard.lock().clear());
    }
}
