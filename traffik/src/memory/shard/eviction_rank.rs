use std::panic::{AssertUnwindSafe, catch_unwind};

use traffik_core::{
    clock::Timestamp,
    strategy::{StoredState, Strategy},
};

use super::rate_table::RateRow;

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
