use std::panic::{AssertUnwindSafe, catch_unwind};

use traffik_core::{
    clock::Timestamp,
    strategy::{Past, Strategy},
};

use super::terms::Terms;

/// Which entry has to go first when there is no room: the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It says nothing any more.
    Expired,
    /// The client is not refused at present. Of these the one with most left goes first, as a share of what its limit
    /// holds, since limits differ.
    Open { used_share: u64 },
    /// The client is refused: to forget it is to let it in.
    Refused { until: Timestamp },
}

impl Rank {
    /// Of a client whose requests cost `cost`, by the last of them.
    pub(super) fn of(past: &Past, terms: &Terms, cost: u64, now: Timestamp) -> Self {
        if !past.is_alive(now) {
            return Self::Expired;
        }
        if !terms.strategy.is_custom() {
            return Self::of_alive(past, terms, cost, now);
        }
        // This is the request of another client: it must not fail if the custom strategy panics.
        let rank = catch_unwind(AssertUnwindSafe(|| Self::of_alive(past, terms, cost, now)));
        rank.unwrap_or(Self::Refused { until: past.state.expires() })
    }

    fn of_alive(past: &Past, terms: &Terms, cost: u64, now: Timestamp) -> Self {
        let Terms { strategy, rate } = terms;
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
