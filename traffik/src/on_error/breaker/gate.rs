use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::state::{BreakerState, Settings, State, Turn};
use crate::observe::BreakerInstruments;

/// The state of a breaker, which its clones share.
#[derive(Debug)]
pub(super) struct Gate {
    /// The turn of a [calm](State::is_calm) breaker, which is only read, without the lock of `state`. Otherwise 0.
    calm_turn: AtomicU64,
    pub(super) state: watch::Sender<State>,
    instruments: BreakerInstruments,
}

impl Gate {
    pub(super) fn new(settings: Settings) -> Self {
        let state = State::new(settings);
        let calm_turn = AtomicU64::new(state.turn);
        Self { calm_turn, state: watch::Sender::new(state), instruments: BreakerInstruments::default() }
    }

    /// Sets the backend that it is in front of.
    pub(super) fn name(&self, backend: &str) {
        self.instruments.name(backend);
    }

    /// Shows the state of a breaker that was not used before.
    #[inline]
    pub(super) fn show_first(&self) {
        if self.instruments.is_due() {
            self.show();
        }
    }

    #[cold]
    fn show(&self) {
        self.instruments.show(|| self.state.borrow().status.state as usize);
    }

    /// Returns the turn of a calm breaker. Only failures change such a breaker.
    #[inline]
    pub(super) fn calm_turn(&self) -> Option<Turn> {
        Some(self.calm_turn.load(Ordering::Acquire)).filter(|turn| *turn != 0)
    }

    /// Changes the state, and returns whether other calls are made now, of which subscribers are notified.
    ///
    /// The change reads no clock, which may be a user's own.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) -> bool {
        let mut after = BreakerState::Closed;
        let is_other = self.state.send_if_modified(|state| {
            let before = state.status.state;
            change(state);
            after = state.status.state;
            self.calm_turn.store(if state.is_calm() { state.turn } else { 0 }, Ordering::Release);
            after != before
        });
        if is_other {
            self.instruments.changed(after as usize);
            self.show();
        }
        is_other
    }
}
