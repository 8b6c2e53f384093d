use std::mem;

use traffik_core::{
    clock::Timestamp,
    decision::Hit,
    strategy::{AnyStrategy, State, StoredState},
};

use super::{
    LockedData, Shard,
    entry::{Entry, EntryMeta, RoughCost},
    eviction_queue::EvictionQueue,
    eviction_rank::EvictionRank,
    rate_table::RateRow,
};
use crate::memory::{hash::KeyHash, seqlock::WriteGuard, sync::MutexGuard};

/// The number of entries that are checked for expiry when an entry arrives.
const SWEEP: usize = 4;

/// A shard that no other thread reads or writes.
pub(in super::super) struct LockedShard<'a> {
    shard: &'a Shard,
    // Dropped before the lock.
    _write: WriteGuard<'a>,
    data: MutexGuard<'a, LockedData>,
}

impl Shard {
    pub(in super::super) fn lock(&self) -> LockedShard<'_> {
        let (_write, data) = self.lock.lock();
        LockedShard { shard: self, _write, data }
    }
}

impl<'a> LockedShard<'a> {
    pub(in super::super) fn holds(&self, key: KeyHash) -> bool {
        self.shard.position(key).is_some()
    }

    pub(in super::super) fn get(&self, key: KeyHash) -> Option<StoredState> {
        self.read(self.entry(key)?, |past, _, _| past.clone())
    }

    /// Returns a state for `strategy` to change. A log is removed, and must be [put](Self::put) back. A custom strategy
    /// receives a copy, so a panic does not change the entry.
    pub(in super::super) fn take(&mut self, key: KeyHash, strategy: &AnyStrategy) -> Option<StoredState> {
        let entry = self.entry(key)?;
        if entry.meta().has_log && !strategy.is_custom() { self.take_log(entry) } else { self.get(key) }
    }

    /// Stores a state. A charged hit adds a new entry: call [`Self::make_room`] before. Without a hit it changes only
    /// an existing entry.
    pub(in super::super) fn put(&mut self, key: KeyHash, past: StoredState, charged: Option<&Hit<'_>>) {
        let known = self.entry(key);
        let Some(entry) = known.or_else(|| charged.and_then(|_| self.insert(key))) else { return };
        if let Some(hit) = charged {
            let (mut rate, rates) = (entry.meta().rate, &mut self.data.rates);
            if known.is_none() || !rates.is(rate, hit.limit.strategy(), past.rate) {
                known.inspect(|_| rates.release(rate));
                rate = rates.acquire(hit.limit.strategy(), past.rate, &self.shard.rates);
            }
            entry.write_meta(EntryMeta { rate, cost: RoughCost::new(hit.cost), ..entry.meta() });
        }
        self.take_log(entry);
        let (expires, has_log) = (past.state.expires(), past.state.log().is_some());
        let state = if has_log { State::new(expires, [self.data.logs.insert(past) as u64, 0]) } else { past.state };
        entry.write_state(&state);
        entry.write_meta(EntryMeta { has_log, ..entry.meta() });
    }

    pub(in super::super) fn remove(&mut self, key: KeyHash) {
        if let Some(position) = self.shard.position(key) {
            self.remove_at(position);
        }
    }

    /// Makes room for `arriving` entries, and returns the number of entries that were evicted before they expired.
    /// Entries for which `stays` returns `true` are kept.
    pub(in super::super) fn make_room(
        &mut self,
        arriving: usize,
        now: Timestamp,
        stays: impl Fn(KeyHash) -> bool,
    ) -> u64 {
        self.sweep(SWEEP * arriving, now, &stays);
        let mut evicted = 0;
        for _ in self.shard.max_entries()..self.shard.len() + arriving {
            let Some((rank, key)) = self.next_to_evict(now, &stays) else { break };
            self.remove(key);
            evicted += u64::from(rank != EvictionRank::Expired);
        }
        evicted
    }

    pub(in super::super) fn clear(&mut self) {
        self.shard.index.clear();
        self.shard.entries.clear();
        *self.data = LockedData::default();
    }

    /// Removes expired entries among the next few.
    fn sweep(&mut self, steps: usize, now: Timestamp, stays: impl Fn(KeyHash) -> bool) {
        for _ in 0..steps {
            let at = Some(self.data.sweep_at).filter(|&at| at < self.shard.len()).unwrap_or_default();
            match self.shard.entries.get(at).filter(|_| self.shard.len() > 0) {
                Some(entry) if entry.state().expires() <= now && !stays(entry.key()) => self.remove_at(at),
                Some(_) => self.data.sweep_at = at + 1,
                None => return,
            }
        }
    }

    fn next_to_evict(&mut self, now: Timestamp, stays: impl Fn(KeyHash) -> bool) -> Option<(EvictionRank, KeyHash)> {
        let mut queue = mem::take(&mut self.data.queue);
        let rank = |key| self.entry(key).map(|entry| self.rank(entry, now));
        let queued = if queue.is_stale() { None } else { queue.pop(rank, &stays) };
        let next = queued.or_else(|| {
            queue = EvictionQueue::new(self.shard.entries.iter().map(|entry| (self.rank(entry, now), entry.key())));
            queue.pop(rank, &stays)
        });
        self.data.queue = queue;
        next
    }

    fn rank(&self, entry: &Entry, now: Timestamp) -> EvictionRank {
        // An entry that cannot be read counts as expired.
        let rank = self.read(entry, |past, row, cost| EvictionRank::of(past, row, cost.get(), now));
        rank.unwrap_or(EvictionRank::Expired)
    }

    fn read<T>(&self, entry: &Entry, read: impl FnOnce(&StoredState, &RateRow, RoughCost) -> T) -> Option<T> {
        let EntryMeta { rate, has_log, cost } = entry.meta();
        let row = self.data.rates.get(rate)?;
        if has_log {
            return self.data.logs.get(entry.log_number()).map(|past| read(past, row, cost));
        }
        Some(read(&StoredState { state: entry.state(), rate: row.rate }, row, cost))
    }

    fn entry(&self, key: KeyHash) -> Option<&'a Entry> {
        self.shard.entries.get(self.shard.position(key)?)
    }

    fn insert(&mut self, key: KeyHash) -> Option<&'a Entry> {
        let Shard { index, entries, .. } = self.shard;
        let (position, entry) = entries.push()?;
        entry.write_key(key);
        entry.write_meta(EntryMeta::default());
        index.insert(key, position, |position| entries.key_at(position));
        self.data.queue.push(key);
        Some(entry)
    }

    /// Removes an entry. The last one takes its place.
    fn remove_at(&mut self, position: usize) {
        let Shard { index, entries, .. } = self.shard;
        let Some(entry) = entries.get(position) else { return };
        self.take_log(entry);
        self.data.rates.release(entry.meta().rate);
        index.remove(entry.key(), position, |position| entries.key_at(position));

        let last = entries.len() - 1;
        if let Some(moved) = entries.get(last).filter(|_| position != last) {
            index.replace(moved.key(), last, position);
            entry.copy(moved);
        }
        entries.pop();
    }

    /// Removes the log of an entry, if it has one. The entry then has no effect.
    fn take_log(&mut self, entry: &Entry) -> Option<StoredState> {
        let meta = entry.meta();
        if !meta.has_log {
            return None;
        }
        let number = entry.log_number();
        entry.write_state(&State::new(Timestamp::UNIX_EPOCH, [0, 0]));
        entry.write_meta(EntryMeta { has_log: false, ..meta });
        self.data.logs.try_remove(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use traffik_core::{client::Key, decision::LimitId, rate::Rate, strategy::Log};

    #[test]
    fn overwritten_log_is_dropped() {
        let (shard, key, expires) = (Shard::new(16), KeyHash { low: 7, high: 0 }, Timestamp::from_micros(60_000_000));
        let (client, limit, rate) =
            (Key::from("alice"), LimitId::new("limit", AnyStrategy::default()), Rate::literal("5/min"));
        let hit = Hit::new(&limit, &client, rate, 1);
        let past = |log: Log| StoredState { state: State::new(expires, [0; 2]).with_log(log), rate };
        let mut locked = shard.lock();
        for cost in 1..4 {
            let log: Log = [(expires, cost)].into_iter().collect();
            locked.put(key, past(log.clone()), Some(&hit));
            locked.put(key, past(log), None);
            assert_eq!(locked.data.logs.len(), 1);
        }
        locked.put(key, StoredState { state: State::new(expires, [0; 2]), rate }, Some(&hit));
        assert!(locked.data.logs.is_empty());
        assert_eq!(locked.get(key).map(|past| past.state.words()), Some([0; 2]));
    }
}
