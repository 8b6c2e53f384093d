use traffik_core::clock::AnyClock;

use super::{gate::Gate, state::Turn};

/// Permission for one attempt.
///
/// End it with [`succeeded`](Self::succeeded) or [`failed`](Self::failed). An attempt that is dropped, because its request
/// is cancelled for instance, counts as neither. If it was a trial, another attempt may take its place.
#[derive(Debug)]
#[must_use = "the breaker learns nothing from an attempt that is dropped"]
pub struct Attempt<'a> {
    gate: &'a Gate,
    clock: &'a AnyClock,
    /// `None` once the attempt has ended.
    turn: Option<Turn>,
}

impl<'a> Attempt<'a> {
    /// Starts an attempt. Returns `None` if no call is made now.
    pub(super) fn start(gate: &'a Gate, clock: &'a AnyClock) -> Option<Self> {
        gate.enter(clock).map(|turn| Self { gate, clock, turn: Some(turn) })
    }

    /// Reports a success.
    pub fn succeeded(self) {
        self.closes();
    }

    /// Reports a failure.
    pub fn failed(self) {
        self.opens();
    }

    /// Reports a success, and returns whether it closed the breaker.
    pub(crate) fn closes(mut self) -> bool {
        self.turn.take().is_some_and(|turn| self.gate.succeeded(turn, self.clock))
    }

    /// Reports a failure, and returns whether it opened the breaker.
    pub(crate) fn opens(mut self) -> bool {
        self.turn.take().is_some_and(|turn| self.gate.failed(turn, self.clock))
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(turn) = self.turn.take() {
            self.gate.dropped(turn);
        }
    }
}
