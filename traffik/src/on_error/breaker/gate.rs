use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use traffik_core::clock::AnyClock;

use super::state::{BreakerState, BreakerStatus, Settings, State, Turn};

/// The state of a breaker, which its clones share.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) settings: Settings,
    /// The turn of a [calm](State::is_calm) breaker, which is only read, without the lock of `state`. Otherwise 0.
    calm_turn: AtomicU64,
    state: watch::Sender<State>,
}

impl Gate {
    pub(super) fn new(settings: Settings) -> Self {
        let state = State::new();
        Self { settings, calm_turn: AtomicU64::new(state.turn), state: watch::Sender::new(state) }
    }

    /// Starts an attempt. Returns `None` if no call is made now.
    #[inline]
    pub(super) fn enter(&self, clock: &AnyClock) -> Option<Turn> {
        let calm_turn = self.calm_turn.load(Ordering::Acquire);
        if calm_turn != 0 {
            return Some(calm_turn);
        }
        let (mut turn, now) = (None, clock.now());
        self.change(|state| turn = state.enter(&self.settings, now));
        turn
    }

    /// Returns whether this success closed the breaker.
    #[inline]
    pub(super) fn succeeded(&self, turn: Turn, clock: &AnyClock) -> bool {
        if self.is_calm() {
            return false;
        }
        let now = clock.now();
        self.change(|state| state.succeeded(turn, &self.settings, now))
    }

    /// Returns whether this failure opened the breaker.
    pub(super) fn failed(&self, turn: Turn, clock: &AnyClock) -> bool {
        let now = clock.now();
        self.change(|state| state.failed(turn, &self.settings, now))
    }

    #[inline]
    pub(super) fn dropped(&self, turn: Turn) {
        if !self.is_calm() {
            self.change(|state| state.dropped(turn));
        }
    }

    pub(super) fn state(&self) -> BreakerState {
        if self.is_calm() { BreakerState::Closed } else { self.status().state }
    }

    pub(super) fn status(&self) -> BreakerStatus {
        self.state.borrow().status
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    fn is_calm(&self) -> bool {
        self.calm_turn.load(Ordering::Acquire) != 0
    }

    /// Changes the state, and returns whether other calls are made now, of which subscribers are notified.
    ///
    /// The change reads no clock, which may be a user's own.
    fn change(&self, change: impl FnOnce(&mut State)) -> bool {
        self.state.send_if_modified(|state| {
            let before = state.status.state;
            change(state);
            self.calm_turn.store(if state.is_calm() { state.turn } else { 0 }, Ordering::Release);
            state.status.state != before
        })
    }
}
