use traffik::{
    Rate,
    clock::Timestamp,
    strategy::{State, StoredState, Strategy, StrategyError},
};

use crate::model::Model;

/// The strategy of the guide: admits up to the limit, then nothing until a period without a charge has passed.
#[derive(Debug)]
pub(crate) struct CoolDown;

fn used(past: Option<&StoredState>) -> u64 {
    past.map_or(0, |past| past.state.words()[0])
}

impl Strategy for CoolDown {
    fn name(&self) -> &'static str {
        "cool-down"
    }

    fn check(&self, _: Rate) -> Result<(), StrategyError> {
        Ok(())
    }

    fn capacity(&self, rate: Rate) -> u64 {
        rate.limit()
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, _now: Timestamp) -> u64 {
        rate.limit().saturating_sub(used(past))
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        match past {
            Some(past) if cost > self.available(Some(past), rate, now) => past.state.expires(),
            _ => now,
        }
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        State::new(now.saturating_add(rate.period()), [used(past.as_ref()).saturating_add(cost), now.as_micros()])
    }

    fn refund(&self, past: StoredState, cost: u64, _charged_at: Timestamp, _now: Timestamp) -> State {
        let [used, written] = past.state.words();
        State::new(past.state.expires(), [used.saturating_sub(cost), written])
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        let [used, written] = past.state.words();
        let was_written_later = written > now.as_micros();
        was_written_later.then(|| State::new(now.saturating_add(past.rate.period()), [used, now.as_micros()]))
    }
}

/// All charges since the last period without any, as (time, cost).
pub(super) struct CoolDownModel {
    rate: Rate,
    charges: Vec<(u64, u64)>,
}

impl CoolDownModel {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, charges: Vec::new() }
    }
}

impl Model for CoolDownModel {
    fn capacity(&self) -> u64 {
        self.rate.limit()
    }

    fn fits(&self, cost: u64, at: u64) -> bool {
        let (mut sum, mut since) = (u128::from(cost), at);
        for &(charged_at, cost) in self.charges.iter().rev() {
            if since - charged_at >= self.rate.period_micros() {
                break;
            }
            (sum, since) = (sum + u128::from(cost), charged_at);
        }
        sum <= self.rate.limit().into()
    }

    fn charge(&mut self, cost: u64, at: u64) {
        if cost > 0 {
            self.charges.push((at, cost));
        }
    }

    fn memory(&self) -> u64 {
        self.rate.period_micros()
    }
}
