use traffik_core::{
    clock::Timestamp,
    rate::Rate,
    strategy::{State, StoredState, Strategy, StrategyError},
};

/// A strategy that no backend implements. It admits up to the limit, and then nothing until a whole period passed
/// without a charge.
#[derive(Debug)]
pub(super) struct CoolDown;

/// A refund of this cost panics, as in a strategy with a bug.
pub(super) const FATAL: u64 = u64::MAX - 1;

fn used(past: Option<&StoredState>) -> u64 {
    past.map_or(0, |past| {
        let [used, _] = past.state.words();
        used
    })
}

impl Strategy for CoolDown {
    fn name(&self) -> &'static str {
        "conformance-cool-down"
    }

    fn check(&self, _: Rate) -> Result<(), StrategyError> {
        Ok(())
    }

    fn capacity(&self, rate: Rate) -> u64 {
        rate.limit()
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, _: Timestamp) -> u64 {
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

    fn refund(&self, past: StoredState, cost: u64, _: Timestamp, _: Timestamp) -> State {
        assert_ne!(cost, FATAL, "this panic is intended: the backend has to catch it");
        let [used, written] = past.state.words();
        State::new(past.state.expires(), [used.saturating_sub(cost), written])
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        let [used, written] = past.state.words();
        let was_written_later = written > now.as_micros();
        was_written_later.then(|| State::new(now.saturating_add(past.rate.period()), [used, now.as_micros()]))
    }
}
