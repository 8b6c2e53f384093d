use std::time::Duration;

use traffik_core::clock::Timestamp;

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
pub(super) type Turn = u64;

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
    pub(super) fn is_calm(&self) -> bool {
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
