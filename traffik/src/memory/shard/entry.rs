#![expect(clippy::cast_possible_truncation, reason = "fields are packed into words, and cut out of them")]

use traffik_core::{clock::Timestamp, strategy::State};

use super::super::{
    digest::Name,
    sync::{AtomicU64, Ordering::Relaxed},
};

/// What is stored of one client by one limit, in 40 bytes.
///
/// Everything is atomic, so that it can be read while somebody else may be writing: the turnstile tells whether that was
/// so, and its order is the only one that matters.
#[derive(Debug, Default)]
pub(in super::super) struct Entry {
    low: AtomicU64,
    /// The upper half of the name, and the [`Note`].
    high_and_note: AtomicU64,
    expires: AtomicU64,
    words: [AtomicU64; 2],
}

/// What is noted beside a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// The number of its [`Terms`](super::terms::Terms) within the shard.
    pub(super) terms: u16,
    /// Whether the state is a log, which is kept elsewhere under the number that is its first word.
    pub(super) has_log: bool,
    pub(super) cost: RoughCost,
}

impl Note {
    /// The highest number of terms.
    pub(super) const MAX_TERMS: u16 = u16::MAX >> 1;

    const fn to_bits(self) -> u32 {
        (self.terms as u32) << 17 | (self.has_log as u32) << 16 | self.cost.0 as u32
    }

    const fn from_bits(bits: u32) -> Self {
        Self { terms: (bits >> 17) as u16, has_log: bits & 1 << 16 != 0, cost: RoughCost(bits as u16) }
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
    #[inline]
    pub(super) fn is(&self, name: Name) -> bool {
        self.low.load(Relaxed) == name.low && self.high_and_note.load(Relaxed) >> 32 == u64::from(name.high)
    }

    pub(super) fn name(&self) -> Name {
        Name { low: self.low.load(Relaxed), high: (self.high_and_note.load(Relaxed) >> 32) as u32 }
    }

    #[inline]
    pub(super) fn note(&self) -> Note {
        Note::from_bits(self.high_and_note.load(Relaxed) as u32)
    }

    #[inline]
    pub(super) fn expires(&self) -> Timestamp {
        Timestamp::from_micros(self.expires.load(Relaxed))
    }

    #[inline]
    pub(super) fn words(&self) -> [u64; 2] {
        self.words.each_ref().map(|word| word.load(Relaxed))
    }

    /// The state, if it is no log.
    #[inline]
    pub(super) fn state(&self) -> State {
        State::new(self.expires(), self.words())
    }

    pub(super) fn write_name(&self, name: Name) {
        self.low.store(name.low, Relaxed);
        self.high_and_note.store(u64::from(name.high) << 32, Relaxed);
    }

    pub(super) fn write_note(&self, note: Note) {
        let high = self.high_and_note.load(Relaxed) >> 32 << 32;
        self.high_and_note.store(high | u64::from(note.to_bits()), Relaxed);
    }

    #[inline]
    pub(super) fn write_state(&self, expires: Timestamp, words: [u64; 2]) {
        self.expires.store(expires.as_micros(), Relaxed);
        for (place, word) in self.words.iter().zip(words) {
            place.store(word, Relaxed);
        }
    }

    /// Takes over what another entry says.
    pub(super) fn copy(&self, other: &Self) {
        self.low.store(other.low.load(Relaxed), Relaxed);
        self.high_and_note.store(other.high_and_note.load(Relaxed), Relaxed);
        self.write_state(other.expires(), other.words());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_40_bytes() {
        assert_eq!(size_of::<Entry>(), 40);
    }

    #[test]
    fn a_rough_cost_is_never_too_low() {
        for cost in [0, 1, 2, 3, 32_767, 32_768, 32_769, 65_536, 65_537, 1 << 40, (1 << 40) + 1, u64::MAX] {
            let rough = RoughCost::new(cost).get();
            assert!(rough >= cost && (cost < 32_768 || rough / 2 < cost), "{cost}: {rough}");
            assert!(cost >= 32_768 || rough == cost);
        }
    }

    #[test]
    fn name_note_and_state_stand_beside_each_other() {
        let entry = Entry::default();
        let name = Name { low: 7, high: u32::MAX };
        let note = Note { terms: Note::MAX_TERMS, has_log: true, cost: RoughCost::new(1 << 40) };
        entry.write_name(name);
        entry.write_note(note);
        entry.write_state(Timestamp::from_micros(3), [4, 5]);
        let copy = Entry::default();
        copy.copy(&entry);
        assert_eq!(
            (copy.name(), copy.note(), copy.state()),
            (name, note, State::new(Timestamp::from_micros(3), [4, 5]))
        );
        assert!(copy.is(name) && !copy.is(Name { high: 0, ..name }));
    }
}
