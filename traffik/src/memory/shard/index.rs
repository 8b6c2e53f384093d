//! From names to positions: an open hash table with linear probing (Knuth, The Art of Computer Programming, 6.4, algorithms
//! L and R).

#![expect(clippy::cast_possible_truncation, reason = "a slot is a cut of a name and a position")]

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed},
};

use super::super::digest::Name;

/// Where the entry of each name is, for the entries at the positions from 0 on.
///
/// It begins small, so that a few entries are found in a few places, and becomes eight times as large whenever it has to
/// grow, up to what the most entries need. The smaller tables are kept, as somebody may be reading them: an eighth of the
/// whole, and no more.
#[derive(Debug)]
pub(super) struct Index {
    tables: [OnceLock<Box<[AtomicU32]>>; 4],
    /// Which of them is in use.
    in_use: AtomicUsize,
    /// The length of the last.
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
        Self { tables: Default::default(), in_use: AtomicUsize::new(0), len: slots_for(max_entries) }
    }

    /// The position under `name` for which `is_it`.
    #[inline]
    pub(super) fn find(&self, name: Name, is_it: impl Fn(usize) -> bool) -> Option<usize> {
        let slots = self.slots();
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

    /// Adds the next position, under a name that has none. `name_at` tells the names of those before.
    pub(super) fn insert(&self, name: Name, position: usize, name_at: impl Fn(usize) -> Name) {
        if slots_for(position + 1) > self.slots().len() {
            self.grow(position, name_at);
        }
        add(self.slots(), name, position);
    }

    /// The entry called `name` moves to another position.
    pub(super) fn replace(&self, name: Name, from: usize, to: usize) {
        let slots = self.slots();
        if let Some(place) = place_of(slots, name, from) {
            write(slots, place, Slot::new(name, to));
        }
    }

    /// Removes a position. What was put further on because of it moves up; `name_at` tells the names of positions.
    pub(super) fn remove(&self, name: Name, position: usize, name_at: impl Fn(usize) -> Name) {
        let slots = self.slots();
        let Some(mut hole) = place_of(slots, name, position) else { return };
        for place in places(next(hole, slots.len()), slots.len()) {
            let slot = read(slots, place);
            if slot == Slot::EMPTY {
                break;
            }
            let from_home = distance(home(name_at(slot.position()), slots.len()), place, slots.len());
            if from_home >= distance(hole, place, slots.len()) {
                write(slots, hole, slot);
                hole = place;
            }
        }
        write(slots, hole, Slot::EMPTY);
    }

    pub(super) fn clear(&self) {
        self.in_use.store(0, Relaxed);
        self.tables.iter().filter_map(OnceLock::get).for_each(|slots| clear(slots));
    }

    /// Moves the positions below `entries` to the first table with room for one more.
    fn grow(&self, entries: usize, name_at: impl Fn(usize) -> Name) {
        let length = |table: usize| self.len >> (3 * (self.tables.len() - 1 - table));
        let has_room = |&table: &usize| length(table) >= slots_for(entries + 1);
        let number = (0..self.tables.len()).find(has_room).unwrap_or(self.tables.len() - 1);
        let Some(table) = self.tables.get(number) else { return };
        let slots = table.get_or_init(|| (0..length(number)).map(|_| AtomicU32::default()).collect());
        clear(slots);
        (0..entries).for_each(|position| add(slots, name_at(position), position));
        self.in_use.store(number, Relaxed);
    }

    #[inline]
    fn slots(&self) -> &[AtomicU32] {
        self.tables.get(self.in_use.load(Relaxed)).and_then(OnceLock::get).map_or(&[], |slots| slots)
    }
}

/// How many slots so many entries need.
const fn slots_for(entries: usize) -> usize {
    entries / 3 * 4 + 4
}

/// Writes a position into the first free slot.
fn add(slots: &[AtomicU32], name: Name, position: usize) {
    if let Some(free) = places(home(name, slots.len()), slots.len()).find(|&place| read(slots, place) == Slot::EMPTY) {
        write(slots, free, Slot::new(name, position));
    }
}

fn clear(slots: &[AtomicU32]) {
    (0..slots.len()).for_each(|place| write(slots, place, Slot::EMPTY));
}

/// Where the slot of a position is.
fn place_of(slots: &[AtomicU32], name: Name, position: usize) -> Option<usize> {
    let slot = Slot::new(name, position);
    places(home(name, slots.len()), slots.len()).find(|&place| read(slots, place) == slot)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Names whose homes lie close together, at the end of the table and so at its beginning.
    fn name(i: u64) -> Name {
        Name { low: (u64::from(u32::MAX) - i % 5) << 32 | i, high: 0 }
    }

    /// An index beside what it should say: names by their positions.
    #[derive(Default)]
    struct Named(Vec<Name>);

    impl Named {
        fn push(&mut self, index: &Index, name: Name) {
            index.insert(name, self.0.len(), |position| self.0[position]);
            self.0.push(name);
        }

        /// As a shard does it: the last takes the place of the one that goes.
        fn remove(&mut self, index: &Index, position: usize) {
            index.remove(self.0[position], position, |position| self.0[position]);
            let last = self.0.len() - 1;
            if position != last {
                index.replace(self.0[last], last, position);
            }
            self.0.swap_remove(position);
        }

        fn assert_found(&self, index: &Index) {
            for (position, &name) in self.0.iter().enumerate() {
                assert_eq!(index.find(name, |found| found == position), Some(position));
            }
        }
    }

    #[test]
    fn names_that_crowd_are_found_whatever_was_removed() {
        let (index, mut named) = (Index::new(24), Named::default());
        let mut turn = 1_u64;
        for step in 0..20_000 {
            turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let position = (turn >> 40) as usize % 24;
            if position < named.0.len() {
                named.remove(&index, position);
            } else if named.0.len() < 24 {
                named.push(&index, name(step));
            }
            named.assert_found(&index);
            assert_eq!(index.find(name(step + 50_000), |_| false), None);
        }
        assert!(named.0.len() > 5);
    }

    #[test]
    fn it_grows_with_what_is_in_it_and_is_empty_once_cleared() {
        let (index, mut named) = (Index::new(10_000), Named::default());
        let mut lengths = Vec::new();
        for step in 0..10_000_u64 {
            named.push(&index, Name { low: step.wrapping_mul(0x9E37_79B9_7F4A_7C15), high: 0 });
            lengths.push(index.slots().len());
        }
        named.assert_found(&index);
        lengths.dedup();
        assert_eq!(lengths, [26, 208, 1667, 13_336]);

        index.clear();
        assert_eq!(index.find(named.0[0], |_| true), None);
        let mut again = Named::default();
        named.0.iter().take(3000).for_each(|&name| again.push(&index, name));
        again.assert_found(&index);
        assert_eq!(index.find(named.0[3000], |_| true), None);
    }
}
