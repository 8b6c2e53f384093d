use std::{cmp::Reverse, collections::BinaryHeap};

use super::{super::hash::KeyHash, eviction_rank::EvictionRank};

/// The entries that are evicted next.
///
/// From time to time every entry is ranked, and those of the lowest ranks are queued. New entries join them. If the
/// rank of an entry has risen when its turn comes, the entry is queued again. So each evicted entry has the lowest
/// rank, except for ranks that fell since the last ranking.
#[derive(Default)]
pub(super) struct EvictionQueue {
    heap: BinaryHeap<Reverse<(EvictionRank, KeyHash)>>,
    /// The number of evictions until every entry is ranked again.
    remaining: usize,
    /// The lowest rank outside the queue. An entry that has risen above it is not the next.
    lowest_outside: Option<EvictionRank>,
    capacity: usize,
}

impl EvictionQueue {
    /// Queues one in 32 of all entries, and a few more, so that a flood of clients causes few rankings.
    pub(super) fn new(entries: impl Iterator<Item = (EvictionRank, KeyHash)>) -> Self {
        let mut ranked: Vec<_> = entries.map(Reverse).collect();
        let batch = ranked.len() / 32 + 16;
        let mut lowest_outside = None;
        if batch < ranked.len() {
            let (_, &mut Reverse((rank, _)), _) = ranked.select_nth_unstable_by_key(batch, |&Reverse(ranked)| ranked);
            lowest_outside = Some(rank);
            ranked.truncate(batch);
            ranked.shrink_to_fit();
        }
        Self { heap: ranked.into(), remaining: batch, lowest_outside, capacity: 2 * batch }
    }

    /// Returns whether every entry must be ranked again.
    pub(super) const fn is_stale(&self) -> bool {
        self.remaining == 0
    }

    /// Adds a new entry. It is ranked when its turn comes.
    #[inline]
    pub(super) fn push(&mut self, key: KeyHash) {
        if self.is_stale() {
            return;
        }
        if self.heap.len() < self.capacity {
            self.heap.push(Reverse((EvictionRank::Expired, key)));
        } else {
            // Many entries arrived and few were evicted: there is room, and the ranks are out of date.
            *self = Self::default();
        }
    }

    /// Removes the next entry that may be evicted. `rank` returns the present rank of an entry that still exists.
    pub(super) fn pop(
        &mut self,
        rank: impl Fn(KeyHash) -> Option<EvictionRank>,
        stays: impl Fn(KeyHash) -> bool,
    ) -> Option<(EvictionRank, KeyHash)> {
        let mut staying = Vec::new();
        let next = loop {
            let Some(Reverse((queued, key))) = self.heap.pop() else { break None };
            match rank(key) {
                Some(present) if stays(key) => staying.push(Reverse((present, key))),
                Some(present) if present > queued => self.heap.push(Reverse((present, key))),
                Some(present) if self.lowest_outside.is_some_and(|outside| present > outside) => break None,
                Some(present) => break Some((present, key)),
                None => {}
            }
        };
        self.heap.extend(staying);
        // An empty queue is stale as well.
        self.remaining = if next.is_some() { self.remaining.saturating_sub(1) } else { 0 };
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(low: u64) -> KeyHash {
        KeyHash { tag: low, position: 0 }
    }

    #[test]
    fn newcomers_do_not_grow_the_queue_above_its_capacity() {
        let mut queue = EvictionQueue::new((0..100).map(|low| (EvictionRank::Open { used_share: low }, key(low))));
        for low in 100..100_000 {
            queue.push(key(low));
            assert!(queue.heap.len() <= queue.capacity);
        }
        assert!(queue.is_stale(), "all are ranked when the next is evicted");
    }

    #[test]
    fn entry_that_rose_above_those_outside_the_queue_is_not_next() {
        let mut queue = EvictionQueue::new((0..100).map(|low| (EvictionRank::Open { used_share: low }, key(low))));
        let risen = |_| Some(EvictionRank::Open { used_share: 1000 });
        assert_eq!(queue.pop(risen, |_| false), None);
        assert!(queue.is_stale());
    }
}
