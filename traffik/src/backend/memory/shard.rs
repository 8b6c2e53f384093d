//! The table that entries live in: many shards, each a dense list under a lock of its own.

use std::sync::{Mutex, MutexGuard, PoisonError};

use hashbrown::HashTable;

use super::digest::Digest;
use crate::{
    clock::Timestamp,
    strategy::{AnyStrategy, Past, Strategy},
};

/// How many entries are looked at for each that arrives, to see whether they expired.
const SWEEP: usize = 4;

/// The smallest store: several limits of one decision always fit.
const LEAST_ENTRIES: usize = 16;

/// What is stored of one client by one limit.
#[derive(Debug)]
pub(super) struct Entry {
    digest: Digest,
    past: Past,
    strategy: AnyStrategy,
}

impl Entry {
    pub(super) fn past(&self) -> Past {
        self.past
    }

    pub(super) fn update(&mut self, past: Past, strategy: &AnyStrategy) {
        self.past = past;
        // The name is the same, but its settings may have changed.
        if self.strategy != *strategy {
            self.strategy = strategy.clone();
        }
    }

    fn rank(&self, now: Timestamp) -> Rank {
        if !self.past.is_alive(now) {
            return Rank::Expired;
        }
        let (past, rate) = (Some(self.past), self.past.rate);
        match self.strategy.available(past, rate, now) {
            0 => Rank::Refused { until: self.strategy.available_at(past, rate, 1, now) },
            remaining => Rank::Open { used: self.strategy.capacity(rate).saturating_sub(remaining) },
        }
    }
}

/// Which entry has to go first when there is no room: the lowest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It says nothing any more.
    Expired,
    /// The client is not refused at present. Of these the one with most left goes first; limits differ, so what was used
    /// decides: it is what the client would get for nothing.
    Open { used: u64 },
    /// The client is refused: to forget it is to let it in.
    Refused { until: Timestamp },
}

/// One shard: entries side by side, and an index from their digests to where they lie.
#[derive(Debug, Default)]
pub(super) struct Shard {
    entries: Vec<Entry>,
    index: HashTable<u32>,
    /// Where the sweep goes on.
    hand: usize,
}

impl Shard {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, digest: Digest) -> Option<Past> {
        self.position(digest).and_then(|at| self.entries.get(at)).map(Entry::past)
    }

    pub(super) fn get_mut(&mut self, digest: Digest) -> Option<&mut Entry> {
        self.position(digest).and_then(|at| self.entries.get_mut(at))
    }

    /// Stores `past`, whether the entry is there or new. Room for a new one was made before, by [`Self::make_room`].
    pub(super) fn put(&mut self, digest: Digest, past: Past, strategy: &AnyStrategy) {
        match self.get_mut(digest) {
            Some(entry) => entry.update(past, strategy),
            None => self.insert(Entry { digest, past, strategy: strategy.clone() }),
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
        if excess == 0 { 0 } else { self.evict(excess, max_entries, now, stays) }
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

    /// Lets at least `excess` entries go, those of the lowest rank. While there are clients that are not refused, a
    /// few more of them go at once, so that a flood does not pay for a look at every entry with each newcomer.
    fn evict(&mut self, excess: usize, max_entries: usize, now: Timestamp, stays: impl Fn(Digest) -> bool) -> u64 {
        let others = self.entries.iter().filter(|entry| !stays(entry.digest));
        let mut ranked: Vec<(Rank, Digest)> = others.map(|entry| (entry.rank(now), entry.digest)).collect();
        let batch = excess.max(max_entries / 32).min(ranked.len());
        if batch < ranked.len() {
            ranked.select_nth_unstable(batch);
        }
        ranked.truncate(batch);
        ranked.sort_unstable();

        let mut evicted = 0;
        for (gone, (rank, digest)) in ranked.into_iter().enumerate() {
            if gone >= excess && matches!(rank, Rank::Refused { .. }) {
                break;
            }
            self.remove(digest);
            evicted += u64::from(rank != Rank::Expired);
        }
        evicted
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
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
        let shards = (max_entries / 1024).next_power_of_two().clamp(1, 64);
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
