//! The state of a breaker, and its changes.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;
use traffik_core::clock::Timestamp;

use super::{BreakerState, BreakerStatus};

/// When the breaker opens, and when it closes again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) failure_threshold: u64,
    pub(super) recovery_timeout: Duration,
    pub(super) success_threshold: u64,
}

#[derive(Debug)]
pub(super) struct Gate {
    pub(super) terms: Terms,
    /// The turn, and in the lowest bit whether the breaker is [calm](Inner::is_calm). A calm breaker is only read, without
    /// the lock. Written under the lock.
    word: AtomicU64,
    inner: Mutex<Inner>,
    state: watch::Sender<BreakerState>,
}

/// Permission for one attempt, which ends with [`succeeded`](Gate::succeeded), [`failed`](Gate::failed) or
/// [`dropped`](Gate::dropped).
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    turn: u64,
}

#[derive(Debug)]
struct Inner {
    state: BreakerState,
    /// The number of the state, or of the round of trials. An entry counts only in its own turn. So entries of a closed
    /// breaker count only until it opens, and trials only in their round.
    turn: u64,
    /// Closed: the failures in a row. Half-open: the trials of this round that succeeded.
    count: u64,
    /// The trials of this round that have no result yet.
    trials: u64,
    /// Open: when it opened. Half-open: when the round began or had its last result.
    since: Timestamp,
    opened_at: Timestamp,
    openings: u64,
}

impl Gate {
    pub(super) fn new(terms: Terms) -> Self {
        let never = Timestamp::UNIX_EPOCH;
        let state = BreakerState::Closed;
        let inner = Inner { state, turn: 0, count: 0, trials: 0, since: never, opened_at: never, openings: 0 };
        let word = AtomicU64::new(inner.word());
        Self { terms, word, inner: Mutex::new(inner), state: watch::Sender::new(state) }
    }

    /// Returns `None` if nothing may be attempted now.
    #[inline]
    pub(super) fn enter(&self, now: impl FnOnce() -> Timestamp) -> Option<Entry> {
        let word = self.word.load(Ordering::Acquire);
        if is_calm(word) {
            return Some(Entry { turn: turn(word) });
        }
        let now = now();
        self.change(|inner| inner.enter(&self.terms, now))
    }

    /// Returns whether this success closed the breaker.
    #[inline]
    pub(super) fn succeeded(&self, entry: Entry, now: impl FnOnce() -> Timestamp) -> bool {
        if self.changes_nothing(entry) {
            return false;
        }
        let now = now();
        self.change(|inner| inner.counts(entry) && inner.succeeded(&self.terms, now))
    }

    /// Returns whether this failure opened the breaker.
    pub(super) fn failed(&self, entry: Entry, now: Timestamp) -> bool {
        self.change(|inner| inner.counts(entry) && inner.failed(&self.terms, now))
    }

    /// The attempt ended without a result. If it was a trial, another attempt may take its place.
    #[inline]
    pub(super) fn dropped(&self, entry: Entry) {
        if self.changes_nothing(entry) {
            return;
        }
        self.change(|inner| {
            if inner.counts(entry) {
                inner.trials = inner.trials.saturating_sub(1);
            }
        });
    }

    /// Whether a success or a drop of this attempt changes nothing.
    fn changes_nothing(&self, entry: Entry) -> bool {
        let word = self.word.load(Ordering::Acquire);
        is_calm(word) || turn(word) != entry.turn
    }

    pub(super) fn state(&self) -> BreakerState {
        if is_calm(self.word.load(Ordering::Acquire)) { BreakerState::Closed } else { self.lock().state }
    }

    pub(super) fn status(&self) -> BreakerStatus {
        let inner = self.lock();
        let count_in = |state| if inner.state == state { inner.count } else { 0 };
        BreakerStatus {
            state: inner.state,
            failures: count_in(BreakerState::Closed),
            successes: count_in(BreakerState::HalfOpen),
            trials: inner.trials,
            opened_at: (inner.state != BreakerState::Closed).then_some(inner.opened_at),
            openings: inner.openings,
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<BreakerState> {
        self.state.subscribe()
    }

    /// Every change of `inner` is made here. The clock is read before, since it may be the user's own.
    fn change<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        let mut inner = self.lock();
        let before = inner.state;
        let result = change(&mut inner);
        self.word.store(inner.word(), Ordering::Release);
        let has_changed = inner.state != before;
        drop(inner);
        if has_changed {
            // Without the lock, since it wakes subscribers, and to the state of now: another change may have been faster.
            self.state.send_if_modified(|state| {
                let before = std::mem::replace(state, self.lock().state);
                *state != before
            });
        }
        result
    }

    /// No change can panic halfway.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn enter(&mut self, terms: &Terms, now: Timestamp) -> Option<Entry> {
        let is_full = match self.state {
            BreakerState::Closed => return Some(Entry { turn: self.turn }),
            BreakerState::Open => true,
            BreakerState::HalfOpen => self.trials + self.count >= terms.success_threshold,
        };
        if is_full {
            // A clock that went back makes the wait no longer than twice the timeout.
            let waited = Duration::from_micros(now.as_micros().abs_diff(self.since.as_micros()));
            if waited < terms.recovery_timeout {
                return None;
            }
            self.begin(BreakerState::HalfOpen, now);
        }
        self.trials += 1;
        Some(Entry { turn: self.turn })
    }

    fn succeeded(&mut self, terms: &Terms, now: Timestamp) -> bool {
        if self.state == BreakerState::Closed {
            self.count = 0;
            return false;
        }
        self.trials = self.trials.saturating_sub(1);
        self.count += 1;
        self.since = now;
        let closes = self.count >= terms.success_threshold;
        if closes {
            self.begin(BreakerState::Closed, now);
        }
        closes
    }

    fn failed(&mut self, terms: &Terms, now: Timestamp) -> bool {
        self.count += 1;
        let opens = self.state == BreakerState::HalfOpen || self.count >= terms.failure_threshold;
        if opens {
            self.begin(BreakerState::Open, now);
            self.opened_at = now;
            self.openings += 1;
        }
        opens
    }

    fn begin(&mut self, state: BreakerState, now: Timestamp) {
        (self.state, self.count, self.trials, self.since) = (state, 0, 0, now);
        self.turn += 1;
    }

    fn counts(&self, entry: Entry) -> bool {
        entry.turn == self.turn
    }

    /// Whether the breaker is closed and nothing failed since the last success.
    fn is_calm(&self) -> bool {
        self.state == BreakerState::Closed && self.count == 0
    }

    fn word(&self) -> u64 {
        self.turn << 1 | u64::from(self.is_calm())
    }
}

fn is_calm(word: u64) -> bool {
    word & 1 == 1
}

fn turn(word: u64) -> u64 {
    word >> 1
}
