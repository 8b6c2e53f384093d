//! The state of a breaker, and the attempts that change it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::sync::watch;
use traffik_core::clock::{AnyClock, Timestamp};

use crate::observe::BreakerInstruments;

/// Which calls a [`CircuitBreaker`](super::CircuitBreaker) makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// All calls.
    Closed,
    /// No calls, until the [recovery timeout](super::CircuitBreakerBuilder::recovery_timeout) has passed.
    Open,
    /// As many trials as have to [succeed](super::CircuitBreakerBuilder::success_threshold), to find out whether calls work
    /// again.
    ///
    /// These trials are a round. If all of them are under way and the
    /// [recovery timeout](super::CircuitBreakerBuilder::recovery_timeout) passes without a result, the next call starts a new
    /// round, in which no trial has succeeded yet. Results of the earlier round are ignored. So trials that never end do not
    /// keep the breaker half-open.
    HalfOpen,
}

/// A snapshot of a [`CircuitBreaker`](super::CircuitBreaker).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerStatus {
    /// Which calls are made.
    pub state: BreakerState,
    /// The number of consecutive failures. 0 unless the breaker is closed.
    pub failures: u64,
    /// The number of trials that succeeded in this round. 0 unless the breaker is half-open.
    pub successes: u64,
    /// The number of trials under way in this round. 0 unless the breaker is half-open.
    pub trials: u64,
    /// When the breaker opened last. `None` while it is closed.
    pub opened_at: Option<Timestamp>,
    /// The time from which on a call starts a trial, if the breaker makes none now. It may have passed: a trial needs a call,
    /// and nothing tries by itself.
    pub next_trial_at: Option<Timestamp>,
    /// How often the breaker has opened.
    pub openings: u64,
}

/// When a breaker opens, and when it closes again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) failure_threshold: u64,
    pub(super) recovery_timeout: Duration,
    pub(super) success_threshold: u64,
}

/// The number of a state, or of a round of trials. An attempt counts only in the turn in which it started. So attempts of a
/// closed breaker count only until it opens, and trials only in their round.
type Turn = u64;

#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) turn: Turn,
    pub(super) status: BreakerStatus,
    /// Open: when it opened. Half-open: when the round began or had its last result.
    since: Timestamp,
}

impl State {
    pub(super) const fn new(settings: Settings) -> Self {
        let state = BreakerState::Closed;
        let status = BreakerStatus {
            state,
            failures: 0,
            successes: 0,
            trials: 0,
            opened_at: None,
            next_trial_at: None,
            openings: 0,
        };
        Self { settings, turn: 1, status, since: Timestamp::UNIX_EPOCH }
    }

    /// Starts an attempt. Returns `None` if no call is made now.
    pub(super) fn enter(&mut self, now: Timestamp) -> Option<Turn> {
        if self.is_closed() {
            return Some(self.turn);
        }
        if self.is_full() {
            // A clock that went back makes the wait no longer than twice the timeout.
            let waited = Duration::from_micros(now.as_micros().abs_diff(self.since.as_micros()));
            if waited < self.settings.recovery_timeout {
                return None;
            }
            self.begin(BreakerState::HalfOpen, now);
        }
        self.status.trials += 1;
        Some(self.turn)
    }

    /// Returns a snapshot.
    pub(super) fn status(&self) -> BreakerStatus {
        let next_trial_at = self.is_full().then(|| self.since.saturating_add(self.settings.recovery_timeout));
        BreakerStatus { next_trial_at, ..self.status }
    }

    /// Returns `true` if no call is made before the recovery timeout has passed.
    fn is_full(&self) -> bool {
        match self.status.state {
            BreakerState::Closed => false,
            BreakerState::Open => true,
            BreakerState::HalfOpen => self.status.trials + self.status.successes >= self.settings.success_threshold,
        }
    }

    pub(super) fn succeeded(&mut self, now: Timestamp) {
        if self.is_closed() {
            self.status.failures = 0;
            return;
        }
        self.status.trials -= 1;
        self.status.successes += 1;
        self.since = now;
        if self.status.successes >= self.settings.success_threshold {
            self.begin(BreakerState::Closed, now);
            self.status.opened_at = None;
        }
    }

    pub(super) fn failed(&mut self, now: Timestamp) {
        self.status.failures += 1;
        if !self.is_closed() || self.status.failures >= self.settings.failure_threshold {
            self.begin(BreakerState::Open, now);
            self.status.opened_at = Some(now);
            self.status.openings += 1;
        }
    }

    /// The attempt ended without a result. If it was a trial, another attempt may take its place.
    pub(super) fn dropped(&mut self) {
        if !self.is_closed() {
            self.status.trials -= 1;
        }
    }

    /// Returns `true` if the breaker is closed and nothing failed since the last success.
    fn is_calm(&self) -> bool {
        self.is_closed() && self.status.failures == 0
    }

    fn is_closed(&self) -> bool {
        self.status.state == BreakerState::Closed
    }

    fn begin(&mut self, state: BreakerState, now: Timestamp) {
        self.turn += 1;
        self.since = now;
        self.status = BreakerStatus { state, failures: 0, successes: 0, trials: 0, ..self.status };
    }
}

/// The state of a breaker, which its clones share.
#[derive(Debug)]
pub(super) struct Gate {
    /// The turn of a [calm](State::is_calm) breaker, which is only read, without the lock of `state`. Otherwise 0.
    calm_turn: AtomicU64,
    pub(super) state: watch::Sender<State>,
    pub(super) instruments: BreakerInstruments,
}

impl Gate {
    pub(super) fn new(settings: Settings) -> Self {
        let state = State::new(settings);
        let calm_turn = AtomicU64::new(state.turn);
        Self { calm_turn, state: watch::Sender::new(state), instruments: BreakerInstruments::default() }
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
