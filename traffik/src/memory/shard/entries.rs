//! A hash table of entries in place.
#![expect(clippy::cast_possible_truncation, reason = "fields are packed into bits, and cut out of them")]

use traffik_core::{clock::Timestamp, strategy::PlainState};

use super::super::hash::KeyHash;

/// The entries of a bucket, which is two adjacent cache lines.
const SLOTS: usize = 3;

/// The number of buckets of a new table.
const MIN_BUCKETS: usize = 8;

/// A hash table of entries in place: whatever a decision needs of a client is in one or two adjacent cache lines.
///
/// An entry is in the first bucket with room, from the one of its [position](KeyHash::position) on. Buckets are filled
/// from their first slot, so a bucket whose last slot is vacant ends a search. The table grows by half when four of
/// five slots are taken. Any number of buckets will do.
#[repr(C)]
pub(super) struct Entries {
    buckets: Box<[Bucket]>,
    len: u32,
    max: u32,
}

#[derive(Clone)]
#[repr(align(128))]
struct Bucket([Entry; SLOTS]);

/// The location of an entry, until one is added or removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Slot {
    bucket: usize,
    slot: usize,
}

impl Entries {
    /// Creates a table for at most `max` entries, without allocating.
    pub(super) fn new(max: usize) -> Self {
        Self { buckets: Box::default(), len: 0, max: u32::try_from(max).unwrap_or(u32::MAX) }
    }

    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    pub(super) const fn max(&self) -> usize {
        self.max as usize
    }

    #[inline]
    pub(super) fn get(&self, Slot { bucket, slot }: Slot) -> Option<&Entry> {
        self.buckets.get(bucket)?.0.get(slot).filter(|entry| !entry.is_vacant())
    }

    #[inline]
    pub(super) fn get_mut(&mut self, Slot { bucket, slot }: Slot) -> Option<&mut Entry> {
        self.buckets.get_mut(bucket)?.0.get_mut(slot)
    }

    #[inline]
    pub(super) fn find(&self, key: KeyHash) -> Option<Slot> {
        let mut bucket = self.home(key);
        loop {
            let Bucket(entries) = self.buckets.get(bucket)?;
            // The processor cannot predict which entry it is, so there is no branch for each.
            let [_, second, third] = entries.each_ref().map(|entry| usize::from(entry.has_tag_of(key)));
            let slot = second + 2 * third;
            if entries.get(slot).is_some_and(|entry| entry.is(key)) {
                return Some(Slot { bucket, slot });
            }
            if let Some(slot) = entries.iter().position(|entry| entry.is(key)) {
                return Some(Slot { bucket, slot });
            }
            if entries.last().is_none_or(Entry::is_vacant) {
                return None;
            }
            bucket = self.after(bucket);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flat_map(|bucket| &bucket.0).filter(|entry| !entry.is_vacant())
    }

    /// Returns whether `more` entries need a larger table.
    pub(super) fn must_grow_for(&self, more: usize) -> bool {
        (self.len() + more) * 5 > self.buckets.len() * SLOTS * 4
    }

    /// Adds an entry that is not in the table, and returns its slot.
    pub(super) fn insert(&mut self, entry: Entry) -> Option<Slot> {
        if self.len == self.max {
            return None;
        }
        if self.must_grow_for(1) {
            self.grow();
        }
        self.len += 1;
        self.place(entry)
    }

    /// Writes an entry to its slot.
    #[inline]
    fn place(&mut self, entry: Entry) -> Option<Slot> {
        let mut bucket = self.home(entry.key());
        loop {
            let entries = &mut self.buckets.get_mut(bucket)?.0;
            if let Some(slot) = entries.iter().position(Entry::is_vacant) {
                *entries.get_mut(slot)? = entry;
                return Some(Slot { bucket, slot });
            }
            bucket = self.after(bucket);
        }
    }

    /// Moves all entries to a larger table. Their order stays nearly the same, so this reads and writes in order.
    pub(super) fn grow(&mut self) {
        let buckets = (self.buckets.len() * 3 / 2).max(MIN_BUCKETS);
        // At the maximum, four of five slots are taken.
        let most = (self.max() * 5).div_ceil(4 * SLOTS);
        let larger = vec![Bucket([Entry::VACANT; SLOTS]); buckets.min(most)].into();
        let smaller = std::mem::replace(&mut self.buckets, larger);
        let entries = smaller.iter().flat_map(|bucket| &bucket.0).filter(|entry| !entry.is_vacant());
        entries.for_each(|entry| _ = self.place(*entry));
    }

    /// Removes an entry. Entries behind it move forward, so that searches still end at the first vacant slot.
    pub(super) fn remove(&mut self, Slot { mut bucket, mut slot }: Slot) {
        self.len -= 1;
        loop {
            // The last entry of the bucket takes its place.
            let Some(Bucket(entries)) = self.buckets.get_mut(bucket) else { return };
            let was_full = entries.last().is_some_and(|entry| !entry.is_vacant());
            let last = entries.iter().rposition(|entry| !entry.is_vacant()).unwrap_or_default();
            entries.swap(slot, last);
            if let Some(last) = entries.get_mut(last) {
                *last = Entry::VACANT;
            }
            if !was_full {
                return;
            }
            let Some(next) = self.next_that_fits(bucket) else { return };
            let Some(moved) = self.get(next).copied() else { return };
            if let Some(vacant) = self.get_mut(Slot { bucket, slot: last }) {
                *vacant = moved;
            }
            Slot { bucket, slot } = next;
        }
    }

    /// Returns the next entry that may also be in `bucket`, which has just become vacant.
    fn next_that_fits(&self, bucket: usize) -> Option<Slot> {
        let mut other = self.after(bucket);
        while other != bucket {
            let Bucket(entries) = self.buckets.get(other)?;
            let distance = self.distance(bucket, other);
            let fits = |entry: &Entry| !entry.is_vacant() && self.distance(self.home(entry.key()), other) >= distance;
            if let Some(slot) = entries.iter().position(fits) {
                return Some(Slot { bucket: other, slot });
            }
            if entries.last().is_none_or(Entry::is_vacant) {
                return None;
            }
            other = self.after(other);
        }
        None
    }

    /// Removes the entries for which `goes` returns `true`.
    pub(super) fn remove_if(&mut self, mut goes: impl FnMut(&Entry) -> bool) {
        for bucket in 0..self.buckets.len() {
            let mut slot = 0;
            while let Some(entry) = self.get(Slot { bucket, slot }) {
                // Another entry may take the place of the removed one.
                if goes(entry) { self.remove(Slot { bucket, slot }) } else { slot += 1 }
            }
        }
    }

    /// Returns the bucket in which a search begins.
    #[inline]
    fn home(&self, key: KeyHash) -> usize {
        ((u64::from(key.position) * self.buckets.len() as u64) >> 32) as usize
    }

    #[inline]
    fn after(&self, bucket: usize) -> usize {
        if bucket + 1 < self.buckets.len() { bucket + 1 } else { 0 }
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        if from <= to { to - from } else { to + self.buckets.len() - from }
    }
}

/// The state of one client and limit, in 40 bytes.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Entry {
    /// 0 if there is no entry.
    tag: u64,
    position: u32,
    pub(super) meta: EntryMeta,
    state: PlainState,
}

/// What is stored next to a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EntryMeta(u32);

impl EntryMeta {
    /// The highest number of a row.
    pub(super) const MAX_RATE: u16 = u16::MAX >> 1;

    pub(super) const fn new(rate: u16, cost: RoughCost, has_log: bool) -> Self {
        Self((rate as u32) << 17 | (has_log as u32) << 16 | cost.0 as u32)
    }

    /// Returns the row number in the [`RateTable`](super::rate_table::RateTable).
    #[inline]
    pub(super) const fn rate(self) -> u16 {
        (self.0 >> 17) as u16
    }

    /// Returns whether the state is a log. Logs are stored separately, under the number in the first word.
    #[inline]
    pub(super) const fn has_log(self) -> bool {
        self.0 & 1 << 16 != 0
    }

    pub(super) const fn cost(self) -> RoughCost {
        RoughCost(self.0 as u16)
    }
}

/// A cost in 16 bits: exact below 2^15, and above that rounded up to a power of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RoughCost(u16);

impl RoughCost {
    const EXACT: u64 = 1 << 15;

    #[inline]
    pub(super) const fn new(cost: u64) -> Self {
        if cost < Self::EXACT {
            Self(cost as u16)
        } else {
            Self(Self::EXACT as u16 | (u64::BITS - (cost - 1).leading_zeros()) as u16)
        }
    }

    pub(super) fn get(self) -> u64 {
        let rough = u64::from(self.0);
        if rough < Self::EXACT { rough } else { u64::checked_shl(1, (rough ^ Self::EXACT) as u32).unwrap_or(u64::MAX) }
    }
}

impl Entry {
    pub(super) const VACANT: Self =
        Self { tag: 0, position: 0, meta: EntryMeta(0), state: PlainState::new(Timestamp::UNIX_EPOCH, [0; 2]) };

    pub(super) const fn new(key: KeyHash, meta: EntryMeta, state: PlainState) -> Self {
        Self { tag: key.tag, position: key.position, meta, state }
    }

    /// Creates an entry without a state.
    pub(super) const fn empty(key: KeyHash) -> Self {
        Self { tag: key.tag, position: key.position, ..Self::VACANT }
    }

    #[inline]
    pub(super) const fn is(&self, key: KeyHash) -> bool {
        self.tag == key.tag && self.position == key.position
    }

    #[inline]
    pub(super) const fn has_tag_of(&self, key: KeyHash) -> bool {
        self.tag == key.tag
    }

    #[inline]
    pub(super) const fn is_vacant(&self) -> bool {
        self.tag == 0
    }

    pub(super) const fn key(&self) -> KeyHash {
        KeyHash { tag: self.tag, position: self.position }
    }

    #[inline]
    pub(super) const fn expires(&self) -> Timestamp {
        self.state.expires
    }

    /// Returns the state, unless it is a log.
    #[inline]
    pub(in super::super) const fn state(&self) -> &PlainState {
        &self.state
    }

    pub(super) const fn write_state(&mut self, state: PlainState) {
        self.state = state;
    }

    /// Stores the state after a charge.
    #[inline]
    pub(in super::super) const fn charge(&mut self, state: PlainState, cost: u64) {
        self.state = state;
        self.meta = EntryMeta(self.meta.0 >> 16 << 16 | RoughCost::new(cost).0 as u32);
    }

    /// Returns the number of the log, if the state is a log.
    pub(super) fn log_number(&self) -> usize {
        usize::try_from(self.state.words[0]).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Numbers below `end`, the same in each run.
    fn below(seed: &mut u64, end: u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (*seed >> 33) % end
    }

    /// Positions are few and at both ends, so searches pass over several buckets, and from the last to the first.
    #[test]
    fn table_holds_exactly_what_was_inserted_and_not_removed() {
        for max in [16, 40, 200] {
            let (mut table, mut expected, mut seed) = (Entries::new(max), BTreeSet::new(), 1);
            for turn in 0..5000_u64 {
                let of = below(&mut seed, 300);
                let position = [0, 3, u32::MAX / 2, u32::MAX - 1, u32::MAX][(of % 5) as usize];
                let key = KeyHash { tag: of + 1, position };
                match table.find(key) {
                    Some(slot) if turn % 3 > 0 => {
                        table.remove(slot);
                        expected.remove(&key);
                    }
                    Some(slot) => assert_eq!(table.get(slot).map(Entry::key), Some(key)),
                    None => {
                        let is_full = expected.len() == max;
                        assert_eq!(table.insert(Entry::empty(key)).is_none(), is_full);
                        if !is_full {
                            expected.insert(key);
                        }
                    }
                }
                if turn % 1000 == 0 {
                    table.remove_if(|entry| entry.key().tag % 7 == turn / 1000 % 7);
                    expected.retain(|key| key.tag % 7 != turn / 1000 % 7);
                }
                assert_eq!(table.len(), expected.len());
                assert!(expected.iter().all(|&key| table.find(key).is_some()), "after {turn} of {max}");
            }
            assert_eq!(table.iter().map(Entry::key).collect::<BTreeSet<_>>(), expected);
        }
    }

    #[test]
    fn rough_cost_is_exact_or_rounded_up_to_a_power_of_two() {
        for cost in [0, 1, 2, RoughCost::EXACT - 1, RoughCost::EXACT, RoughCost::EXACT + 1, 1 << 40, u64::MAX] {
            let exact =
                if cost < RoughCost::EXACT { cost } else { cost.checked_next_power_of_two().unwrap_or(u64::MAX) };
            assert_eq!(RoughCost::new(cost).get(), exact, "{cost}");
        }
    }

    #[test]
    fn packed_fields_keep_their_values() {
        let meta = EntryMeta::new(EntryMeta::MAX_RATE, RoughCost::new(1 << 40), true);
        assert_eq!((meta.rate(), meta.cost(), meta.has_log()), (EntryMeta::MAX_RATE, RoughCost::new(1 << 40), true));
        let state = PlainState::new(Timestamp::UNIX_EPOCH, [0; 2]);
        let mut entry = Entry::new(KeyHash { tag: 1, position: 2 }, meta, state);
        entry.charge(PlainState::new(Timestamp::from_micros(5), [6, 7]), 3);
        assert_eq!(entry.meta, EntryMeta::new(EntryMeta::MAX_RATE, RoughCost::new(3), true));
        assert_eq!(size_of::<Entry>(), 40);
    }
}
