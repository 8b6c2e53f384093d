#![expect(clippy::cast_possible_truncation, reason = "fields are packed into bits, and cut out of them")]

use traffik_core::{clock::Timestamp, strategy::State};

use super::super::{
    hash::KeyHash,
    seqlock::WriteGuard,
    sync::{AtomicU32, AtomicU64, Ordering::Relaxed},
};

/// The state of one client and limit, in 40 bytes.
///
/// All fields are atomics, because another thread may write during a read. The sequence lock detects this, and orders
/// all reads and writes.
#[derive(Debug, Default)]
pub(in super::super) struct Entry {
    low: AtomicU64,
    high: AtomicU32,
    /// The [`EntryMeta`].
    meta: AtomicU32,
    expires: AtomicU64,
    words: [AtomicU64; 2],
}

/// What is stored next to a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EntryMeta {
    /// The row number in the [`RateTable`](super::rate_table::RateTable).
    pub(super) rate: u16,
    /// Whether the state is a log. Logs are stored separately, under the number in the first word.
    pub(super) has_log: bool,
    pub(super) cost: RoughCost,
}

impl EntryMeta {
    /// The highest number of a row.
    pub(super) const MAX_RATE: u16 = u16::MAX >> 1;

    const fn to_bits(self) -> u32 {
        (self.rate as u32) << 17 | (self.has_log as u32) << 16 | self.cost.0 as u32
    }

    const fn from_bits(bits: u32) -> Self {
        Self { rate: (bits >> 17) as u16, has_log: bits & 1 << 16 != 0, cost: RoughCost(bits as u16) }
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
    pub(super) fn is(&self, key: KeyHash) -> bool {
        self.low.load(Relaxed) == key.low && self.high.load(Relaxed) == key.high
    }

    pub(super) fn key(&self) -> KeyHash {
        KeyHash { low: self.low.load(Relaxed), high: self.high.load(Relaxed) }
    }

    #[inline]
    pub(super) fn meta(&self) -> EntryMeta {
        EntryMeta::from_bits(self.meta.load(Relaxed))
    }

    /// Returns the state, unless it is a log.
    #[inline]
    pub(super) fn state(&self) -> State {
        let words = self.words.each_ref().map(|word| word.load(Relaxed));
        State::new(Timestamp::from_micros(self.expires.load(Relaxed)), words)
    }

    /// Returns the number of the log, if the state is a log.
    pub(super) fn log_number(&self) -> usize {
        let [number, _] = self.state().words();
        usize::try_from(number).unwrap_or(usize::MAX)
    }

    /// Writes the state after a charge. The state is not a log.
    #[inline]
    pub(in super::super) fn update(&self, state: &State, cost: u64, _: &WriteGuard<'_>) {
        self.write_state(state);
        if cost > 0 {
            self.write_meta(EntryMeta { cost: RoughCost::new(cost), ..self.meta() });
        }
    }

    pub(super) fn write_key(&self, key: KeyHash) {
        self.low.store(key.low, Relaxed);
        self.high.store(key.high, Relaxed);
    }

    #[inline]
    pub(super) fn write_meta(&self, meta: EntryMeta) {
        self.meta.store(meta.to_bits(), Relaxed);
    }

    #[inline]
    pub(super) fn write_state(&self, state: &State) {
        self.expires.store(state.expires().as_micros(), Relaxed);
        for (place, word) in self.words.iter().zip(state.words()) {
            place.store(word, Relaxed);
        }
    }

    /// Becomes a copy of another entry.
    pub(super) fn copy(&self, other: &Self) {
        self.write_key(other.key());
        self.write_meta(other.meta());
        self.write_state(&other.state());
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
    fn key_meta_and_state_do_not_overlap() {
        let entry = Entry::default();
        let key = KeyHash { low: 7, high: u32::MAX };
        let meta = EntryMeta { rate: EntryMeta::MAX_RATE, has_log: true, cost: RoughCost::new(1 << 40) };
        entry.write_key(key);
        entry.write_meta(meta);
        let state = State::new(Timestamp::from_micros(3), [4, 5]);
        entry.write_state(&state);
        let copy = Entry::default();
        copy.copy(&entry);
        assert_eq!((copy.key(), copy.meta(), copy.state()), (key, meta, state));
        assert!(copy.is(key) && !copy.is(KeyHash { high: 0, ..key }));
    }
}
