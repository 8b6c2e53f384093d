use super::digest::Digest;
use crate::{
    clock::Timestamp,
    decision::Hit,
    strategy::{AnyStrategy, Past, Strategy},
};

/// What is stored of one client by one limit.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) digest: Digest,
    pub(super) past: Past,
    strategy: AnyStrategy,
    /// What the client's requests cost, by the last of them.
    cost: u64,
}

impl Entry {
    pub(super) fn new(digest: Digest, past: Past, hit: &Hit<'_>) -> Self {
        Self { digest, past, strategy: hit.strategy.clone(), cost: hit.cost }
    }

    pub(super) fn update(&mut self, past: Past, hit: &Hit<'_>) {
        self.past = past;
        self.cost = hit.cost;
        // The name is the same, but its settings may have changed.
        if self.strategy != *hit.strategy {
            self.strategy = hit.strategy.clone();
        }
    }

    pub(super) fn rank(&self, now: Timestamp) -> Rank {
        if !self.past.is_alive(now) {
            return Rank::Expired;
        }
        let (past, rate) = (Some(self.past), self.past.rate);
        let (available, capacity) = (self.strategy.available(past, rate, now), self.strategy.capacity(rate));
        if available < self.cost {
            let fits = self.cost.min(capacity);
            return Rank::Refused { until: self.strategy.available_at(past, rate, fits, now) };
        }
        let used = u128::from(capacity.saturating_sub(available));
        Rank::Open { used_share: (used << 32) / u128::from(capacity.max(1)) }
    }
}

/// Which entry has to go first when there is no room: the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It says nothing any more.
    Expired,
    /// The client is not refused at present. Of these the one with most left goes first, as a share of what its limit
    /// holds, since limits differ.
    Open { used_share: u128 },
    /// The client is refused: to forget it is to let it in.
    Refused { until: Timestamp },
}
