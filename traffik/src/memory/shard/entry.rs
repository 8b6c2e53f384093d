#![expect(clippy::cast_possible_truncation, reason = "fields are packed into bits, and cut out of them")]

use traffik_core::{clock::Timestamp, strategy::PlainState};

use super::super::hash::KeyHash;

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
    use super::*;

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
