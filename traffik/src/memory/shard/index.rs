//! Maps keys to positions: an open hash table with linear probing (Knuth, The Art of Computer Programming, 6.4,
//! algorithms L and R).

#![expect(clippy::cast_possible_truncation, reason = "a slot is a cut of a key and a position")]

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
};

use super::super::hash::KeyHash;

/// The position of each key, for the entries at the positions from 0 on.
///
/// It starts with a small table, and moves to one of eight times the length whenever it must grow, up to the length for
/// the maximum number of entries. The smaller tables are kept, because other threads may be reading them: an eighth of
/// the whole.
pub(super) struct Index {
    tables: [OnceLock<Box<[AtomicU32]>>; 4],
    /// The table in use.
    in_use: AtomicUsize,
    /// The length of the last table.
    len: usize,
}

/// A position, and 16 bits of its key. The bits usually avoid reading other entries.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Slot(u32);

impl Slot {
    const EMPTY: Self = Self(0);

    /// Positions are below 2^15.
    const fn new(key: KeyHash, position: usize) -> Self {
        Self((key.low as u32) << 16 | (position as u32 + 1))
    }

    #[inline]
    const fn is_like(self, key: KeyHash) -> bool {
        (self.0 ^ (key.low as u32) << 16) >> 16 == 0
    }

    #[inline]
    fn read(slot: &AtomicU32) -> Self {
        Self(slot.load(Relaxed))
    }

    fn write(self, slot: &AtomicU32) {
        slot.store(self.0, Relaxed);
    }

    #[inline]
    const fn position(self) -> usize {
        (self.0 & 0xffff) as usize - 1
    }
}

impl Index {
    pub(super) fn new(max_entries: usize) -> Self {
        Self { tables: Default::default(), in_use: AtomicUsize::new(0), len: slots_for(max_entries) }
    }

    /// Returns the position of `key` for which `is_it` is true.
    #[inline]
    pub(super) fn find(&self, key: KeyHash, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        for slot in probe(self.slots(), key) {
            let slot = Slot::read(slot);
            if slot == Slot::EMPTY {
                return None;
            }
            if slot.is_like(key) && is_it(slot.position()) {
                return Some(slot.position());
            }
        }
        None
    }

    /// Adds the next position, under a key that has none. `key_at` returns the keys of the existing positions.
    pub(super) fn insert(&self, key: KeyHash, position: usize, key_at: impl Fn(usize) -> KeyHash) {
        if slots_for(position + 1) > self.slots().len() {
            self.grow(position, key_at);
        }
        replace(self.slots(), key, Slot::EMPTY, Slot::new(key, position));
    }

    /// Moves the entry of `key` to another position.
    pub(super) fn replace(&self, key: KeyHash, from: usize, to: usize) {
        replace(self.slots(), key, Slot::new(key, from), Slot::new(key, to));
    }

    /// Removes a position, and moves displaced slots closer to their homes. `key_at` returns the keys of positions.
    pub(super) fn remove(&self, key: KeyHash, position: usize, key_at: impl Fn(usize) -> KeyHash) {
        let (slots, removed) = (self.slots(), Slot::new(key, position));
        // Distances are from the home of the removed key.
        let mut probed = (0..).zip(probe(slots, key));
        let Some((mut distance, mut hole)) = probed.find(|(_, slot)| Slot::read(slot) == removed) else { return };
        for (to_there, there) in probed {
            let slot = Slot::read(there);
            if slot == Slot::EMPTY {
                break;
            }
            let own_home = home(key_at(slot.position()), slots.len());
            let from_own_home = (home(key, slots.len()) + to_there + slots.len() - own_home) % slots.len();
            if from_own_home >= to_there - distance {
                slot.write(hole);
                (distance, hole) = (to_there, there);
            }
        }
        Slot::EMPTY.write(hole);
    }

    pub(super) fn clear(&self) {
        self.in_use.store(0, Relaxed);
        self.tables.iter().filter_map(OnceLock::get).for_each(|slots| clear(slots));
    }

    /// Moves the positions below `entries` to the first table with room for one more.
    fn grow(&self, entries: usize, key_at: impl Fn(usize) -> KeyHash) {
        let last = self.tables.len() - 1;
        let length = |table: usize| self.len >> (3 * (last - table));
        let number = (0..last).find(|&table| length(table) >= slots_for(entries + 1)).unwrap_or(last);
        let Some(table) = self.tables.get(number) else { return };
        let slots = table.get_or_init(|| (0..length(number)).map(|_| AtomicU32::default()).collect());
        clear(slots);
        for position in 0..entries {
            let key = key_at(position);
            replace(slots, key, Slot::EMPTY, Slot::new(key, position));
        }
        self.in_use.store(number, Relaxed);
    }

    #[inline]
    fn slots(&self) -> &[AtomicU32] {
        self.tables.get(self.in_use.load(Relaxed)).and_then(OnceLock::get).map_or(&[], |slots| slots)
    }
}

/// Returns the number of slots for `entries`. At most three of four are taken, so a search reads two or three adjacent
/// slots.
const fn slots_for(entries: usize) -> usize {
    entries / 3 * 4 + 4
}

fn clear(slots: &[AtomicU32]) {
    slots.iter().for_each(|slot| Slot::EMPTY.write(slot));
}

/// Replaces the first slot of a key that is `from` by `to`.
fn replace(slots: &[AtomicU32], key: KeyHash, from: Slot, to: Slot) {
    if let Some(slot) = probe(slots, key).find(|slot| Slot::read(slot) == from) {
        to.write(slot);
    }
}

/// Returns the slot where the search for a key starts: half of the key, scaled to the number of slots.
#[inline]
const fn home(key: KeyHash, len: usize) -> usize {
    (((key.low >> 32) * len as u64) >> 32) as usize
}

/// Returns all slots from the home of a key on, once around, because other threads may be moving them.
#[inline]
fn probe(slots: &[AtomicU32], key: KeyHash) -> impl Iterator<Item = &AtomicU32> {
    let mut place = home(key, slots.len());
    (0..slots.len()).filter_map(move |_| {
        let slot = slots.get(place);
        place = if place + 1 == slots.len() { 0 } else { place + 1 };
        slot
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns keys whose homes are close together, at the end of the table and so at its beginning.
    fn key(i: u64) -> KeyHash {
        KeyHash { low: (u64::from(u32::MAX) - i % 5) << 32 | i, high: 0 }
    }

    /// The expected contents of an index: keys by their positions.
    #[derive(Default)]
    struct Keys(Vec<KeyHash>);

    impl Keys {
        fn push(&mut self, index: &Index, key: KeyHash) {
            index.insert(key, self.0.len(), |position| self.0[position]);
            self.0.push(key);
        }

        /// Does the same as a shard: the last entry takes the place of the removed one.
        fn remove(&mut self, index: &Index, position: usize) {
            index.remove(self.0[position], position, |position| self.0[position]);
            let last = self.0.len() - 1;
            if position != last {
                index.replace(self.0[last], last, position);
            }
            self.0.swap_remove(position);
        }

        fn assert_found(&self, index: &Index) {
            for (position, &key) in self.0.iter().enumerate() {
                assert_eq!(index.find(key, |found| found == position), Some(position));
            }
        }
    }

    #[test]
    fn crowded_keys_are_found_after_any_removal() {
        let (index, mut keys) = (Index::new(24), Keys::default());
        let mut turn = 1_u64;
        for step in 0..20_000 {
            turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let position = (turn >> 40) as usize % 24;
            if position < keys.0.len() {
                keys.remove(&index, position);
            } else if keys.0.len() < 24 {
                keys.push(&index, key(step));
            }
            keys.assert_found(&index);
            assert_eq!(index.find(key(step + 50_000), |_| false), None);
        }
        assert!(keys.0.len() > 5);
    }

    #[test]
    fn index_grows_with_its_keys_and_is_empty_once_cleared() {
        let (index, mut keys) = (Index::new(10_000), Keys::default());
        let mut lengths = Vec::new();
        for step in 0..10_000_u64 {
            keys.push(&index, KeyHash { low: step.wrapping_mul(0x9E37_79B9_7F4A_7C15), high: 0 });
            lengths.push(index.slots().len());
        }
        keys.assert_found(&index);
        lengths.dedup();
        assert_eq!(lengths, [26, 208, 1667, 13_336]);

        index.clear();
        assert_eq!(index.find(keys.0[0], |_| true), None);
        let mut again = Keys::default();
        keys.0.iter().take(3000).for_each(|&key| again.push(&index, key));
        again.assert_found(&index);
        assert_eq!(index.find(keys.0[3000], |_| true), None);
    }
}
