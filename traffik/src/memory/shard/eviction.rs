//! The order in which a full shard evicts entries.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use traffik_core::{
    clock::Timestamp,
    strategy::{StoredState, Strategy},
};

use super::{super::hash::KeyHash, rate_table::RateRow};

/// The entries that are evicted next.
///
/// From time to time every entry is ranked, and those of the lowest ranks are queued. New entries of such ranks join them. If
/// the rank of an entry has risen when its turn comes, the entry is queued again. So each evicted entry has the lowest rank,
/// except for ranks that fell since the last ranking.
#[derive(Default)]
pub(super) struct EvictionQueue {
    /// What was queued by the last ranking, the next at the end.
    ranked: Vec<Ranked>,
    /// What was queued since.
    joined: BinaryHeap<Reverse<Ranked>>,
    /// The maximum number of those. What is queued takes the same memory each time.
    most_joined: usize,
    /// The number of evictions until every entry is ranked again.
    remaining: usize,
    /// The lowest outside the queue. An entry that has risen above its rank is not the next.
    lowest_outside: Option<Ranked>,
}

/// Many entries may have the same rank. Those of the lowest hashes come first, which are in no part of the table.
type Ranked = (EvictionRank, KeyHash);

impl EvictionQueue {
    /// Queues the lowest of some entries: one in four of the `len` of a shard, and a few more, so that a flood of clients
    /// causes few rankings.
    pub(super) fn new(len: usize, ranked: impl Iterator<Item = Ranked>) -> Self {
        let batch = len / 4 + 16;
        let mut ranked: Vec<Ranked> = ranked.collect();
        let lowest_outside = (batch < ranked.len()).then(|| *ranked.select_nth_unstable(batch).1);
        ranked.truncate(batch);
        ranked.shrink_to_fit();
        ranked.sort_unstable_by(|one, other| other.cmp(one));
        let most_joined = batch / 2;
        let joined = BinaryHeap::with_capacity(most_joined);
        Self { ranked, joined, most_joined, remaining: batch, lowest_outside }
    }

    /// Returns whether every entry must be ranked again.
    pub(super) const fn is_stale(&self) -> bool {
        self.remaining == 0
    }

    /// Adds a new entry, unless others are evicted before it.
    pub(super) fn push(&mut self, rank: EvictionRank, key: KeyHash) {
        let is_later = self.lowest_outside.is_some_and(|outside| (rank, key) > outside);
        if !is_later && !self.join((rank, key)) {
            // Many entries arrived and few were evicted: there is room, or the ranks are out of date.
            *self = Self::default();
        }
    }

    /// Queues an entry next to the ranked ones. Returns `false` if as many have joined as may.
    fn join(&mut self, entry: Ranked) -> bool {
        let has_room = self.joined.len() < self.most_joined;
        if has_room {
            self.joined.push(Reverse(entry));
        }
        has_room
    }

    /// Removes the next entry that may be evicted. `rank` returns the present rank and the slot of an entry that still
    /// exists.
    pub(super) fn pop<S>(
        &mut self,
        rank: impl Fn(KeyHash) -> Option<(EvictionRank, S)>,
        stays: impl Fn(KeyHash) -> bool,
    ) -> Option<(EvictionRank, S)> {
        let mut staying = Vec::new();
        let next = loop {
            let Some((queued, key)) = self.take_first() else { break None };
            match rank(key) {
                Some((present, _)) if stays(key) => staying.push((present, key)),
                Some((present, _)) if present > queued => {
                    let is_queued = self.join((present, key));
                    if !is_queued {
                        break None;
                    }
                }
                Some((present, _)) if self.lowest_outside.is_some_and(|(outside, _)| present > outside) => break None,
                Some(next) => break Some(next),
                None => {}
            }
        };
        for entry in staying {
            self.join(entry);
        }
        // An empty queue is stale as well.
        self.remaining = if next.is_some() { self.remaining.saturating_sub(1) } else { 0 };
        next
    }

    /// Removes the queued entry of the lowest rank.
    fn take_first(&mut self) -> Option<Ranked> {
        let joined = self.joined.peek().map(|Reverse(joined)| joined);
        match (self.ranked.last(), joined) {
            (Some(ranked), Some(joined)) if joined < ranked => self.joined.pop().map(|Reverse(joined)| joined),
            (None, _) => self.joined.pop().map(|Reverse(joined)| joined),
            _ => self.ranked.pop(),
        }
    }
}

/// The order in which entries are evicted: the lowest rank first.
///
/// First come entries that have expired. Then come clients that are not refused at present, those with the most remaining
/// first, relative to the capacity because limits differ. Last come refused clients, which an eviction would admit: those whose
/// wait ends soonest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EvictionRank(u64);

impl EvictionRank {
    pub(super) const EXPIRED: Self = Self(0);

    const REFUSED: u64 = 1 << 63;

    /// Returns the rank of a client whose last request cost `cost`.
    #[inline]
    pub(super) fn of(past: &StoredState, row: &RateRow, cost: u64, now: Timestamp) -> Self {
        if !past.is_alive(now) {
            return Self::EXPIRED;
        }
        if !row.strategy.is_custom() {
            return Self::of_alive(past, row, cost, now);
        }
        // This runs in the request of another client, which must not fail if the custom strategy panics.
        let rank = catch_unwind(AssertUnwindSafe(|| Self::of_alive(past, row, cost, now)));
        rank.unwrap_or(Self::refused(past.state.expires()))
    }

    fn of_alive(past: &StoredState, row: &RateRow, cost: u64, now: Timestamp) -> Self {
        let RateRow { strategy, rate, .. } = row;
        let (available, capacity) = (strategy.available(Some(past), *rate, now), strategy.capacity(*rate));
        if available >= cost {
            return Self::open(capacity.saturating_sub(available), capacity);
        }
        Self::refused(strategy.available_at(Some(past), *rate, cost.min(capacity), now))
    }

    /// The used share of the capacity, as a fraction of 2^32.
    pub(super) const fn open(used: u64, capacity: u64) -> Self {
        let beyond = u32::BITS.saturating_sub(used.leading_zeros());
        let capacity = if capacity >> beyond == 0 { 1 } else { capacity >> beyond };
        Self((used >> beyond << u32::BITS) / capacity + 1)
    }

    const fn refused(until: Timestamp) -> Self {
        Self(Self::REFUSED | until.as_micros())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(low: u64) -> KeyHash {
        KeyHash { tag: low, position: 0 }
    }

    /// The queue of a hundred entries, of which each has used one more than the one before.
    fn queue() -> EvictionQueue {
        EvictionQueue::new(100, (0..100).map(|low| (EvictionRank::open(low, 1000), key(low))))
    }

    /// A sample of every fourth entry would take the others for low, and the first of them would fill the queue.
    #[test]
    fn lowest_entry_is_next_wherever_it_is() {
        for lowest in [1, 501, 999] {
            let rank =
                |low| EvictionRank::open(if low == lowest { 0 } else { 500 + 400 * u64::from(low % 4 == 0) }, 1000);
            let mut queue = EvictionQueue::new(1000, (0..1000).map(|low| (rank(low), key(low))));
            let popped = std::iter::from_fn(|| queue.pop(|key| Some((rank(key.tag), key.tag)), |_| false));
            let others = (0..1000).filter(|&low| low % 4 > 0 && low != lowest);
            let expected: Vec<u64> = std::iter::once(lowest).chain(others).take(266).collect();
            assert_eq!(popped.map(|(_, low)| low).collect::<Vec<_>>(), expected, "a quarter of them and 16");
        }
    }

    #[test]
    fn newcomers_do_not_grow_the_queue_above_its_capacity() {
        let mut queue = queue();
        for low in 100..100_000 {
            queue.push(EvictionRank::EXPIRED, key(low));
            assert!(queue.joined.len() <= queue.most_joined);
        }
        assert!(queue.is_stale(), "all are ranked when the next is evicted");
    }

    #[test]
    fn newcomer_with_less_remaining_than_others_does_not_join() {
        let mut queue = queue();
        queue.push(EvictionRank::open(99, 1000), key(1000));
        assert!(queue.joined.is_empty());
    }

    #[test]
    fn entry_that_rose_above_those_outside_the_queue_is_not_next() {
        let mut queue = queue();
        let risen = |_| Some((EvictionRank::open(1000, 1000), ()));
        assert_eq!(queue.pop(risen, |_| false), None);
        assert!(queue.is_stale());
    }

    #[test]
    fn ranks_order_by_the_used_share_and_then_by_the_wait() {
        let at = |micros| EvictionRank::refused(Timestamp::from_micros(micros));
        let ranks = [
            EvictionRank::EXPIRED,
            EvictionRank::open(0, u64::MAX),
            EvictionRank::open(1, 1000),
            EvictionRank::open(1 << 40, 1 << 42),
            EvictionRank::open(1, 2),
            EvictionRank::open(u64::MAX - 1, u64::MAX),
            at(0),
            at(1),
        ];
        assert!(ranks.is_sorted_by(|one, other| one < other), "{ranks:?}");
        assert_eq!(EvictionRank::open(1 << 40, 1 << 42), EvictionRank::open(1, 4));
        assert!(EvictionRank::open(0, 0) < at(0));
    }
}
