use traffik::{
    Rate,
    clock::Timestamp,
    strategy::{FixedWindow, State, StoredState, Strategy, StrategyError},
};

/// A custom strategy, which Redis does not know.
#[derive(Debug)]
pub(crate) struct Own;

impl Strategy for Own {
    fn name(&self) -> &'static str {
        "own"
    }

    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        FixedWindow.check(rate)
    }

    fn capacity(&self, rate: Rate) -> u64 {
        FixedWindow.capacity(rate)
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        FixedWindow.available(past, rate, now)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        FixedWindow.available_at(past, rate, cost, now)
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        FixedWindow.charge(past, rate, cost, now)
    }

    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        FixedWindow.refund(past, cost, charged_at, now)
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        FixedWindow.clamped_to(past, now)
    }
}
