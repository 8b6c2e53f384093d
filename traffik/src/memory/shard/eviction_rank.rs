use std::panic::{AssertUnwindSafe, catch_unwind};

use traffik_core::{
    clock::Timestamp,
    strategy::{StoredState, Strategy},
};

use super::rate_table::RateRow;

/// The order in which entries are evicted: the lowest rank first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EvictionRank {
    /// The state has no effect any more.
    Expired,
    /// The client is not refused at present. Clients with the most remaining are evicted first. Relative to the
    /// capacity, because limits differ.
    Open { used_share: u64 },
    /// The client is refused. Evicting it would admit it.
    Refused { until: Timestamp },
}

impl EvictionRank {
    /// Returns the rank of a client whose last request cost `cost`.
    pub(super) fn of(past: &StoredState, row: &RateRow, cost: u64, now: Timestamp) -> Self {
        if !past.is_alive(now) {
            return Self::Expired;
        }
        if !row.strategy.is_custom() {
            return Self::of_alive(past, row, cost, now);
        }
        // This runs in the request of another client, which must not fail if the custom strategy panics.
        let rank = catch_unwind(AssertUnwindSafe(|| Self::of_alive(past, row, cost, now)));
        rank.unwrap_or(Self::Refused { until: past.state.expires() })
    }

    fn of_alive(past: &StoredState, row: &RateRow, cost: u64, now: Timestamp) -> Self {
        let RateRow { strategy, rate, .. } = row;
        let (available, capacity) = (strategy.available(Some(past), *rate, now), strategy.capacity(*rate));
        if available < cost {
            let fits = cost.min(capacity);
            return Self::Refused { until: strategy.available_at(Some(past), *rate, fits, now) };
        }
        let used = u128::from(capacity.saturating_sub(available));
        let used_share = (used << 32) / u128::from(capacity.max(1));
        Self::Open { used_share: u64::try_from(used_share).unwrap_or(u64::MAX) }
    }
}
