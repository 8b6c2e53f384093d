use std::time::Duration;

use traffik::{
    Rate,
    clock::Timestamp,
    strategy::{Log, State, StoredState, Strategy, StrategyError},
};

use crate::model::Model;

/// Has as many seats as the limit. A request takes as many as it costs and holds them for as many periods.
#[derive(Debug)]
pub(crate) struct Leases;

impl Leases {
    pub(super) const MAX_LIMIT: u64 = 100;
}

fn end(rate: Rate, cost: u64, charged_at: Timestamp) -> Timestamp {
    charged_at.saturating_add(Duration::from_micros(rate.period_micros().saturating_mul(cost)))
}

fn write(log: Log, written: u64) -> State {
    State::new(log.ends().unwrap_or(Timestamp::UNIX_EPOCH), [written, 0]).with_log(log)
}

impl Strategy for Leases {
    fn name(&self) -> &'static str {
        "leases"
    }

    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        let is_small = rate.limit() <= Self::MAX_LIMIT;
        is_small.then_some(()).ok_or_else(|| StrategyError::new("leases", "it has at most 100 places"))
    }

    fn capacity(&self, rate: Rate) -> u64 {
        rate.limit()
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        let taken = past.and_then(|past| past.state.log()).map_or(0, |log| log.counts_at(now));
        rate.limit().saturating_sub(taken)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        let log = past.and_then(|past| past.state.log());
        let free = log.and_then(|log| log.time_until_more_counts_than(rate.limit().saturating_sub(cost)));
        free.map_or(now, |free| free.max(now))
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        let mut log = past.map(|past| past.state.into_log()).unwrap_or_default();
        log.forget(now);
        log.add(end(rate, cost, now), cost);
        write(log, now.as_micros())
    }

    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, _now: Timestamp) -> State {
        let [written, _] = past.state.words();
        let mut log = past.state.into_log();
        log.take_back(end(past.rate, cost, charged_at), cost);
        write(log, written)
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        let [written, _] = past.state.words();
        let ahead = Timestamp::from_micros(written).saturating_since(now);
        let mut log = past.state.log().filter(|_| !ahead.is_zero())?.clone();
        log.move_back(ahead);
        Some(write(log, now.as_micros()))
    }
}

/// Each lease, as (end, seats).
pub(super) struct LeasesModel {
    rate: Rate,
    leases: Vec<(u64, u64)>,
}

impl LeasesModel {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, leases: Vec::new() }
    }
}

impl Model for LeasesModel {
    fn capacity(&self) -> u64 {
        self.rate.limit()
    }

    fn fits(&self, cost: u64, at: u64) -> bool {
        let held = self.leases.iter().filter(|(end, _)| at < *end).map(|(_, places)| u128::from(*places));
        held.sum::<u128>() + u128::from(cost) <= self.rate.limit().into()
    }

    fn charge(&mut self, cost: u64, at: u64) {
        self.leases.push((at + self.rate.period_micros() * cost, cost));
    }

    fn memory(&self) -> u64 {
        self.rate.period_micros() * self.rate.limit()
    }
}
