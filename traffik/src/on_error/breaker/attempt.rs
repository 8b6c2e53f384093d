use traffik_core::clock::{AnyClock, Timestamp};

use super::{
    gate::Gate,
    state::{State, Turn},
};

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
    #[inline]
    pub(super) fn start(gate: &'a Gate, clock: &'a AnyClock) -> Option<Self> {
        let mut turn = gate.calm_turn();
        if turn.is_none() {
            let now = clock.now();
            gate.change(|state| turn = state.enter(now));
        }
        turn.map(|turn| Self { gate, clock, turn: Some(turn) })
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
    #[inline]
    pub(crate) fn closes(self) -> bool {
        self.gate.calm_turn().is_none() && self.end(State::succeeded)
    }

    /// Reports a failure, and returns whether it opened the breaker.
    pub(crate) fn opens(self) -> bool {
        self.end(State::failed)
    }

    fn end(mut self, change: impl FnOnce(&mut State, Timestamp)) -> bool {
        let now = self.clock.now();
        self.change(|state| change(state, now))
    }

    /// Changes the state, unless the turn of the attempt is over.
    fn change(&mut self, change: impl FnOnce(&mut State)) -> bool {
        let turn = self.turn.take();
        self.gate.change(|state| {
            if turn == Some(state.turn) {
                change(state);
            }
        })
    }
}

impl Drop for Attempt<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.turn.is_some() && self.gate.calm_turn().is_none() {
            self.change(State::dropped);
        }
    }
}
