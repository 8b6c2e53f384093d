//! A shard of a store: a table of entries, the rates and logs that they refer to, and the next entries to evict.

mod entries;
mod eviction;
mod rate_table;

use std::mem;

use slab::Slab;
use traffik_core::{
    clock::Timestamp,
    decision::Hit,
    strategy::{AnyStrategy, PlainState, PlainVerdict, PreparedRate, StoredState},
};

pub(super) use self::entries::Slot;
use self::{
    entries::{Entries, Entry, EntryMeta, RoughCost},
    eviction::{EvictionQueue, EvictionRank},
    rate_table::{RateRow, RateTable},
};
use super::hash::KeyHash;

/// How many microseconds expired entries stay at least, unless the store is full.
const GRACE: u64 = 1_000_000;

/// The entries of a shard, at most as many as its maximum, which is less than 2^15.
///
/// A decision about a known client reads only what is first.
#[repr(C)]
pub(super) struct Shard {
    entries: Entries,
    rates: RateTable,
    /// The states that are logs, and the rate of each.
    logs: Slab<StoredState>,
    queue: EvictionQueue,
    /// The latest time at which entries made room for others, expired or not.
    removed_at: Timestamp,
}

impl Shard {
    pub(super) fn new(max: usize) -> Self {
        Self {
            entries: Entries::new(max),
            rates: RateTable::default(),
            logs: Slab::new(),
            queue: EvictionQueue::default(),
            removed_at: Timestamp::UNIX_EPOCH,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.entries.max());
    }

    #[inline]
    pub(super) fn find(&self, key: KeyHash) -> Option<Slot> {
        self.entries.find(key)
    }

    /// Decides about a hit on the entry at a slot, and charges what fits. Returns `None` where there is no
    /// [verdict](Self::verdict).
    #[inline(always)]
    pub(super) fn decide(&mut self, slot: Slot, hit: &Hit<'_>, now: Timestamp) -> Option<PlainVerdict> {
        let (entry, rate) = self.plain(slot, hit)?;
        let verdict = hit.limit.strategy().decide_plain(Some(entry.state()), rate, hit.cost, now)?;
        if let Some(state) = verdict.state.filter(|_| verdict.is_new) {
            entry.charge(state, hit.cost);
        }
        Some(verdict)
    }

    /// Returns the verdict about a hit on the entry at a slot. Returns `None` if the state is a log, if it was written by
    /// another strategy or at another rate, and if it was written after `now`.
    #[inline(always)]
    pub(super) fn verdict(&mut self, slot: Slot, hit: &Hit<'_>, now: Timestamp) -> Option<PlainVerdict> {
        let (entry, rate) = self.plain(slot, hit)?;
        hit.limit.strategy().decide_plain(Some(entry.state()), rate, hit.cost, now)
    }

    /// Returns the entry at a slot and the rate of the hit, if its state is no log, and was written by the strategy of the hit at
    /// that rate.
    #[inline(always)]
    fn plain(&mut self, slot: Slot, hit: &Hit<'_>) -> Option<(&mut Entry, &PreparedRate)> {
        let Self { entries, rates, .. } = self;
        let entry = entries.get_mut(slot).filter(|entry| !entry.meta.has_log())?;
        let rate = rates.prepared(entry.meta.rate(), hit)?;
        Some((entry, rate))
    }

    /// Returns the verdict about a hit of a new client.
    #[inline]
    pub(super) fn verdict_of_new(&mut self, hit: &Hit<'_>, now: Timestamp) -> Option<PlainVerdict> {
        let rate = self.rates.prepare(hit)?;
        hit.limit.strategy().decide_plain(None, &rate, hit.cost, now)
    }

    /// Stores the new state of a verdict, if there is one.
    #[inline(always)]
    pub(super) fn charge(&mut self, slot: Slot, verdict: PlainVerdict, cost: u64) {
        if let (Some(state), Some(entry)) = (verdict.state.filter(|_| verdict.is_new), self.entries.get_mut(slot)) {
            entry.charge(state, cost);
        }
    }

    /// Returns the verdict about a cost that may fit, but is not charged because another one of the decision does not fit.
    #[inline(always)]
    pub(super) fn uncharged(&self, slot: Slot, mut verdict: PlainVerdict, now: Timestamp) -> PlainVerdict {
        if verdict.is_new {
            verdict.is_new = false;
            verdict.state = self.entries.get(slot).map(|entry| *entry.state()).filter(|state| state.expires > now);
        }
        verdict
    }

    pub(super) fn get(&self, key: KeyHash) -> Option<StoredState> {
        self.read(self.entry(key)?, |past, _, _| past.clone())
    }

    /// Returns a state for `strategy` to change. A log is removed, and must be [put](Self::put) back. A custom strategy
    /// receives a copy, so a panic does not change the entry.
    pub(super) fn take(&mut self, key: KeyHash, strategy: &AnyStrategy) -> Option<StoredState> {
        let slot = self.find(key)?;
        let has_log = self.entries.get(slot)?.meta.has_log();
        if has_log && !strategy.is_custom() { self.take_log(slot) } else { self.get(key) }
    }

    /// Adds the entry of a new client, and evicts others if there is no room. Returns the number of entries that were evicted
    /// before they expired.
    pub(super) fn add(&mut self, key: KeyHash, state: PlainState, hit: &Hit<'_>, now: Timestamp) -> u64 {
        let rate = self.rates.acquire_of(hit);
        let added = Entry::new(key, EntryMeta::new(rate, RoughCost::new(hit.least()), false), state);
        let evicted = self.make_room(now, |_| false);
        if self.entries.insert(added).is_none() {
            self.rates.release(rate);
        }
        self.queue_new(&added, now);
        evicted
    }

    /// Returns the time of the last removal. A client that is missing at an earlier time may have been removed since.
    #[inline]
    pub(super) const fn removed_at(&self) -> Timestamp {
        self.removed_at
    }

    /// Stores a state. A charged hit adds a new entry, and evicts others if there is no room. Without a hit it changes
    /// only an existing entry. Returns the number of entries that were evicted before they expired.
    pub(super) fn put(
        &mut self,
        key: KeyHash,
        past: StoredState,
        charged: Option<&Hit<'_>>,
        now: Timestamp,
        stays: impl Fn(KeyHash) -> bool,
    ) -> u64 {
        let mut evicted = 0;
        let known = self.find(key);
        let Some(slot) = known.or_else(|| {
            charged?;
            evicted = self.make_room(now, stays);
            self.entries.insert(Entry::empty(key))
        }) else {
            return evicted;
        };
        self.take_log(slot);
        let Some(entry) = self.entries.get_mut(slot) else { return evicted };
        let (mut rate, mut cost) = (entry.meta.rate(), entry.meta.cost());
        if let Some(hit) = charged {
            cost = RoughCost::new(hit.least());
            if known.is_none() || !self.rates.is(rate, hit.limit.strategy(), past.rate) {
                known.inspect(|_| self.rates.release(rate));
                rate = self.rates.acquire(hit.limit.strategy(), past.rate);
            }
        }
        let (expires, has_log) = (past.state.expires(), past.state.log().is_some());
        let words = if has_log { [self.logs.insert(past) as u64, 0] } else { past.state.words() };
        entry.meta = EntryMeta::new(rate, cost, has_log);
        entry.write_state(PlainState::new(expires, words));
        if known.is_none() {
            let added = *entry;
            self.queue_new(&added, now);
        }
        evicted
    }

    /// Queues a new entry for eviction, if others are queued.
    #[inline]
    fn queue_new(&mut self, entry: &Entry, now: Timestamp) {
        if !self.queue.is_stale() {
            let rank = self.rank(entry, now);
            self.queue.push(rank, entry.key());
        }
    }

    pub(super) fn remove(&mut self, key: KeyHash) {
        if let Some(slot) = self.find(key) {
            self.remove_at(slot);
        }
    }

    fn remove_at(&mut self, slot: Slot) {
        let Self { entries, rates, logs, .. } = self;
        if let Some(entry) = entries.get(slot) {
            release(entry, rates, logs);
            entries.remove(slot);
        }
    }

    /// Makes room for one more entry. Entries for which `stays` returns `true` are kept.
    ///
    /// Expired entries are removed only if the table would have to grow, or to evict others: a client that returns
    /// finds its entry. It may return soon, so a table that grows keeps what expired just now.
    fn make_room(&mut self, now: Timestamp, stays: impl Fn(KeyHash) -> bool) -> u64 {
        let max = self.entries.max();
        if self.len() < max {
            if self.entries.must_grow_for(1) {
                let expired_at = Timestamp::from_micros(now.as_micros().saturating_sub(GRACE));
                self.sweep(expired_at, now, stays);
                // Few are gone: the next sweep would come too soon.
                if self.entries.must_grow_for(self.len() / 8 + 1) {
                    self.entries.grow();
                }
            }
            return 0;
        }
        if self.queue.is_stale() {
            self.sweep(now, now, &stays);
            if self.len() + max / 8 > max {
                self.queue = self.ranked(now, &stays);
            }
        }
        let mut evicted = 0;
        while self.len() >= max {
            let Some((rank, slot)) = self.next_to_evict(now, &stays) else { break };
            self.removed_at = self.removed_at.max(now);
            self.remove_at(slot);
            evicted += u64::from(rank != EvictionRank::EXPIRED);
        }
        evicted
    }

    /// Removes the entries that had expired at a time.
    fn sweep(&mut self, expired_at: Timestamp, now: Timestamp, stays: impl Fn(KeyHash) -> bool) {
        self.removed_at = self.removed_at.max(now);
        let Self { entries, rates, logs, .. } = self;
        entries.remove_if(|entry| {
            let goes = entry.expires() <= expired_at && !stays(entry.key());
            if goes {
                release(entry, rates, logs);
            }
            goes
        });
    }

    fn next_to_evict(&mut self, now: Timestamp, stays: impl Fn(KeyHash) -> bool) -> Option<(EvictionRank, Slot)> {
        let mut queue = mem::take(&mut self.queue);
        let rank = |key| self.find(key).and_then(|slot| Some((self.rank(self.entries.get(slot)?, now), slot)));
        let queued = if queue.is_stale() { None } else { queue.pop(rank, &stays) };
        let next = queued.or_else(|| {
            queue = self.ranked(now, &stays);
            queue.pop(rank, &stays)
        });
        self.queue = queue;
        next
    }

    /// Ranks all entries except those that stay: the queue has room for few.
    fn ranked(&self, now: Timestamp, stays: impl Fn(KeyHash) -> bool) -> EvictionQueue {
        let may_go = self.entries.iter().filter(|entry| !stays(entry.key()));
        EvictionQueue::new(self.len(), may_go.map(|entry| (self.rank(entry, now), entry.key())))
    }

    fn rank(&self, entry: &Entry, now: Timestamp) -> EvictionRank {
        // An entry that cannot be read counts as expired.
        let rank = self.read(entry, |past, row, cost| EvictionRank::of(past, row, cost.get(), now));
        rank.unwrap_or(EvictionRank::EXPIRED)
    }

    fn read<T>(&self, entry: &Entry, read: impl FnOnce(&StoredState, &RateRow, RoughCost) -> T) -> Option<T> {
        let row = self.rates.get(entry.meta.rate())?;
        if entry.meta.has_log() {
            return self.logs.get(entry.log_number()).map(|past| read(past, row, entry.meta.cost()));
        }
        let past = StoredState { state: (*entry.state()).into(), rate: row.rate };
        Some(read(&past, row, entry.meta.cost()))
    }

    fn entry(&self, key: KeyHash) -> Option<&Entry> {
        self.entries.get(self.find(key)?)
    }

    /// Removes the log of an entry, if it has one. The entry then has no effect.
    fn take_log(&mut self, slot: Slot) -> Option<StoredState> {
        let entry = self.entries.get_mut(slot).filter(|entry| entry.meta.has_log())?;
        let number = entry.log_number();
        entry.write_state(PlainState::new(Timestamp::UNIX_EPOCH, [0, 0]));
        entry.meta = EntryMeta::new(entry.meta.rate(), entry.meta.cost(), false);
        self.logs.try_remove(number)
    }
}

/// Frees what an entry that is removed refers to.
fn release(entry: &Entry, rates: &mut RateTable, logs: &mut Slab<StoredState>) {
    rates.release(entry.meta.rate());
    if entry.meta.has_log() {
        logs.try_remove(entry.log_number());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use traffik_core::{
        client::Key,
        decision::LimitId,
        rate::Rate,
        strategy::{Log, State},
    };

    #[test]
    fn overwritten_log_is_dropped() {
        let (mut shard, key, expires) =
            (Shard::new(16), KeyHash { tag: 7, position: 0 }, Timestamp::from_micros(60_000_000));
        let (client, limit, rate) =
            (Key::from("alice"), LimitId::new("limit", AnyStrategy::default()), Rate::literal("5/min"));
        let hit = Hit::new(&limit, &client, rate, 1);
        let past = |log: Log| StoredState { state: State::new(expires, [0; 2]).with_log(log), rate };
        let mut put = |past, charged| {
            shard.put(key, past, charged, Timestamp::UNIX_EPOCH, |_| false);
            (shard.logs.len(), shard.get(key).map(|past| past.state.words()))
        };
        for cost in 1..4 {
            let log: Log = [(expires, cost)].into_iter().collect();
            assert_eq!(put(past(log.clone()), Some(&hit)), (1, Some([0; 2])));
            assert_eq!(put(past(log), None), (1, Some([0; 2])));
        }
        let without = StoredState { state: State::new(expires, [0; 2]), rate };
        assert_eq!(put(without, Some(&hit)), (0, Some([0; 2])));
    }
}
