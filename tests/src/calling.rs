use traffik::{
    Rate,
    clock::Timestamp,
    strategy::{FixedWindow, State, StoredState, Strategy, StrategyError},
};

/// A custom strategy: a fixed window that calls a function before some of its own.
#[derive(Debug)]
pub struct Calling(pub fn(Call));

/// What a [`Calling`] is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It checks a rate.
    Check(Rate),
    /// It computes when a cost fits.
    AvailableAt,
    /// It charges a cost.
    Charge,
}

impl Strategy for Calling {
    fn name(&self) -> &'static str {
        "calling"
    }

    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        (self.0)(Call::Check(rate));
        FixedWindow.check(rate)
    }

    fn capacity(&self, rate: Rate) -> u64 {
        FixedWindow.capacity(rate)
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        FixedWindow.available(past, rate, now)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        (self.0)(Call::AvailableAt);
        FixedWindow.available_at(past, rate, cost, now)
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        (self.0)(Call::Charge);
        FixedWindow.charge(past, rate, cost, now)
    }

    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        FixedWindow.refund(past, cost, charged_at, now)
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        FixedWindow.clamped_to(past, now)
    }
}
