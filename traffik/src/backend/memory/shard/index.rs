//! From names to positions: an open hash table with linear probing (Knuth, The Art of Computer Programming, 6.4, algorithms
//! L and R).

#![expect(clippy::cast_possible_truncation, reason = "a slot is a cut of a name and a position")]

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering::Relaxed},
};

use super::super::digest::Name;

/// Where the entry of each name is. It has room for a given number of them, and never grows.
#[derive(Debug)]
pub(super) struct Index {
    slots: OnceLock<Box<[AtomicU32]>>,
    len: usize,
}

/// What a slot says: where an entry is, and 16 bits of its name, so that as a rule no other entry has to be looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Slot(u32);

impl Slot {
    const EMPTY: Self = Self(0);

    /// Positions are below 2^15.
    const fn new(name: Name, position: usize) -> Self {
        Self((name.low as u32) << 16 | (position as u32 + 1))
    }

    #[inline]
    const fn is_like(self, name: Name) -> bool {
        (self.0 ^ (name.low as u32) << 16) >> 16 == 0
    }

    #[inline]
    const fn position(self) -> usize {
        (self.0 & 0xffff) as usize - 1
    }
}

impl Index {
    /// Three of four slots are taken at most: a search then looks at two or three of them, side by side.
    pub(super) fn new(max_entries: usize) -> Self {
        Self { slots: OnceLock::new(), len: max_entries / 3 * 4 + 4 }
    }

    /// The position under `name` for which `is_it`.
    #[inline]
    pub(super) fn find(&self, name: Name, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let slots = self.slots.get()?;
        let mut place = home(name, slots.len());
        // No more than once around: somebody may be moving slots meanwhile.
        for _ in 0..slots.len() {
            let slot = read(slots, place);
            if slot == Slot::EMPTY {
                return None;
            }
            if slot.is_like(name) && is_it(slot.position()) {
                return Some(slot.position());
            }
            place = next(place, slots.len());
        }
        None
    }

    /// Adds a position under a name that has none.
    pub(super) fn insert(&self, name: Name, position: usize) {
        let slots = self.slots.get_or_init(|| (0..self.len).map(|_| AtomicU32::default()).collect());
        if let Some(place) = places(home(name, self.len), self.len).find(|&place| read(slots, place) == Slot::EMPTY) {
            write(slots, place, Slot::new(name, position));
        }
    }

    /// The entry called `name` moves to another position.
    pub(super) fn replace(&self, name: Name, from: usize, to: usize) {
        if let Some((slots, place)) = self.place(name, from) {
            write(slots, place, Slot::new(name, to));
        }
    }

    /// Removes a position. What was put further on because of it moves up; `name_at` tells the names of positions.
    pub(super) fn remove(&self, name: Name, position: usize, name_at: impl Fn(usize) -> Name) {
        let Some((slots, mut hole)) = self.place(name, position) else { return };
        for place in places(next(hole, self.len), self.len) {
            let slot = read(slots, place);
            if slot == Slot::EMPTY {
                break;
            }
            let from_home = distance(home(name_at(slot.position()), self.len), place, self.len);
            if from_home >= distance(hole, place, self.len) {
                write(slots, hole, slot);
                hole = place;
            }
        }
        write(slots, hole, Slot::EMPTY);
    }

    pub(super) fn clear(&self) {
        for slot in self.slots.get().into_iter().flatten() {
            slot.store(Slot::EMPTY.0, Relaxed);
        }
    }

    fn place(&self, name: Name, position: usize) -> Option<(&[AtomicU32], usize)> {
        let (slots, slot) = (self.slots.get()?, Slot::new(name, position));
        places(home(name, self.len), self.len).find(|&place| read(slots, place) == slot).map(|place| (&**slots, place))
    }
}

/// Where a name is looked for first: half of it as a share of all places.
#[inline]
const fn home(name: Name, len: usize) -> usize {
    (((name.low >> 32) * len as u64) >> 32) as usize
}

#[inline]
const fn next(place: usize, len: usize) -> usize {
    if place + 1 == len { 0 } else { place + 1 }
}

/// All places from `first` on, once around.
fn places(first: usize, len: usize) -> impl Iterator<Item = usize> {
    (first..len).chain(0..first)
}

const fn distance(from: usize, to: usize, len: usize) -> usize {
    if to >= from { to - from } else { to + len - from }
}

#[inline]
fn read(slots: &[AtomicU32], place: usize) -> Slot {
    Slot(slots.get(place).map_or(Slot::EMPTY.0, |slot| slot.load(Relaxed)))
}

fn write(slots: &[AtomicU32], place: usize, slot: Slot) {
    if let Some(there) = slots.get(place) {
        there.store(slot.0, Relaxed);
    }
}

#[cfg(all(test, not(traffik_loom)))]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Names whose homes lie close together, at the end of the table and so at its beginning.
    fn name(i: u64) -> Name {
        Name { low: (u64::from(u32::MAX) - i % 5) << 32 | i, high: 0 }
    }

    #[test]
    fn names_that_crowd_are_found_whatever_was_removed() {
        let index = Index::new(24);
        let mut at: HashMap<usize, Name> = HashMap::new();
        let mut turn = 1_u64;
        for step in 0..20_000_u64 {
            turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let position = (turn >> 40) as usize % 24;
            if let Some(known) = at.remove(&position) {
                index.remove(known, position, |other| at.get(&other).copied().unwrap_or(known));
            } else {
                let new = name(step % 40_000);
                index.insert(new, position);
                at.insert(position, new);
            }
            for (&position, &name) in &at {
                assert_eq!(index.find(name, |found| found == position), Some(position));
            }
            assert_eq!(index.find(name(step + 50_000), |_| false), None);
        }
        assert!(at.len() > 5);
    }

    #[test]
    fn an_entry_that_moves_is_found_where_it_went() {
        let index = Index::new(24);
        index.insert(name(3), 20);
        index.replace(name(3), 20, 1);
        assert_eq!(index.find(name(3), |_| true), Some(1));
        index.clear();
        assert_eq!(index.find(name(3), |_| true), None);
    }
}
