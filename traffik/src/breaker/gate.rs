//! Who may go on to what may fail, and who may not.
//!
//! Everything that is counted is in one atomic [`Word`] with the state that it is counted in. Where all is well a request
//! reads it twice and writes nothing. Changes of the state, which are rare, are made one at a time.

use std::{sync::PoisonError, time::Duration};

use tokio::sync::watch;

use super::{
    BreakerState,
    sync::{AtomicU64, Mutex, MutexGuard, Ordering},
    word::Word,
};
use crate::clock::Timestamp;

/// When it opens, and when it closes again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) failure_threshold: u64,
    pub(super) recovery_timeout: Duration,
    pub(super) success_threshold: u64,
}

#[derive(Debug)]
pub(super) struct Gate {
    pub(super) terms: Terms,
    word: AtomicU64,
    /// In microseconds. Written before the word says that it is open, and so read as late as that.
    opened_at: AtomicU64,
    openings: AtomicU64,
    changing: Mutex<()>,
    state: watch::Sender<BreakerState>,
}

/// Somebody went through, and has to tell what came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    turn: u64,
    is_trial: bool,
}

impl Gate {
    pub(super) fn new(terms: Terms) -> Self {
        Self {
            terms,
            word: AtomicU64::new(Word::FIRST.pack()),
            opened_at: AtomicU64::new(0),
            openings: AtomicU64::new(0),
            changing: Mutex::new(()),
            state: watch::Sender::new(BreakerState::Closed),
        }
    }

    /// Lets through who may go: everybody while it is closed, nobody while it is open, and then so many trials as have to
    /// succeed.
    pub(super) fn enter(&self, now: impl Fn() -> Timestamp) -> Option<Entry> {
        loop {
            let seen = self.look();
            match seen.state {
                BreakerState::Closed => return Some(Entry { turn: seen.turn, is_trial: false }),
                BreakerState::Open if !self.has_waited(now()) => return None,
                BreakerState::Open => _ = self.change(seen, BreakerState::HalfOpen),
                BreakerState::HalfOpen if seen.trials + seen.count >= self.terms.success_threshold => return None,
                BreakerState::HalfOpen => {
                    if self.replace(seen, Word { trials: seen.trials + 1, ..seen }) {
                        return Some(Entry { turn: seen.turn, is_trial: true });
                    }
                }
            }
        }
    }

    /// What was tried worked. Whether it closed by that.
    pub(super) fn succeeded(&self, entry: Entry) -> bool {
        while let Some(seen) = self.look_during(entry) {
            let next = match (entry.is_trial, seen.count) {
                (false, 0) => return false,
                (false, _) => Word { count: 0, ..seen },
                (true, count) if count + 1 >= self.terms.success_threshold => {
                    if self.change(seen, BreakerState::Closed) {
                        return true;
                    }
                    continue;
                }
                (true, count) => Word { trials: seen.trials.saturating_sub(1), count: count + 1, ..seen },
            };
            if self.replace(seen, next) {
                return false;
            }
        }
        false
    }

    /// What was tried failed: of trials one that does is enough. Whether it opened by that.
    pub(super) fn failed(&self, entry: Entry, now: Timestamp) -> bool {
        while let Some(seen) = self.look_during(entry) {
            if entry.is_trial || seen.count + 1 >= self.terms.failure_threshold {
                if self.open(seen, now) {
                    return true;
                }
            } else if self.replace(seen, Word { count: seen.count + 1, ..seen }) {
                return false;
            }
        }
        false
    }

    /// Nobody knows what came of it. Of a trial, somebody else may make it.
    pub(super) fn left(&self, entry: Entry) {
        while let Some(seen) = self.look_during(entry).filter(|_| entry.is_trial) {
            if self.replace(seen, Word { trials: seen.trials.saturating_sub(1), ..seen }) {
                return;
            }
        }
    }

    pub(super) fn look(&self) -> Word {
        Word::unpack(self.word.load(Ordering::Acquire))
    }

    /// When it opened last, unless it closed since.
    pub(super) fn opened_at(&self) -> Option<Timestamp> {
        let is_closed = self.look().state == BreakerState::Closed;
        (!is_closed).then(|| Timestamp::from_micros(self.opened_at.load(Ordering::Relaxed)))
    }

    pub(super) fn openings(&self) -> u64 {
        self.openings.load(Ordering::Relaxed)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<BreakerState> {
        self.state.subscribe()
    }

    /// Nothing, once the state has ended in which somebody went through: what he saw says nothing of the present one.
    fn look_during(&self, entry: Entry) -> Option<Word> {
        Some(self.look()).filter(|seen| seen.turn == entry.turn)
    }

    /// A clock that went back keeps it open no longer than twice the time.
    fn has_waited(&self, now: Timestamp) -> bool {
        let waited = now.as_micros().abs_diff(self.opened_at.load(Ordering::Relaxed));
        Duration::from_micros(waited) >= self.terms.recovery_timeout
    }

    fn replace(&self, seen: Word, next: Word) -> bool {
        self.word.compare_exchange(seen.pack(), next.pack(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Changes the state, unless something was faster: whoever wants it looks again.
    fn change(&self, seen: Word, state: BreakerState) -> bool {
        let _one_at_a_time = self.lock();
        let is_changed = self.replace(seen, seen.then(state));
        if is_changed {
            self.state.send_replace(state);
        }
        is_changed
    }

    fn open(&self, seen: Word, now: Timestamp) -> bool {
        let _one_at_a_time = self.lock();
        // From here on it is not open and does not come to be, so that nobody is misled.
        if self.look().turn != seen.turn {
            return false;
        }
        let before = self.opened_at.swap(now.as_micros(), Ordering::Relaxed);
        let is_changed = self.replace(seen, seen.then(BreakerState::Open));
        if is_changed {
            self.openings.fetch_add(1, Ordering::Relaxed);
            self.state.send_replace(BreakerState::Open);
        } else {
            self.opened_at.store(before, Ordering::Relaxed);
        }
        is_changed
    }

    /// There is nothing in it that a panic could have left in pieces.
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every order in which threads can meet: `cargo xtask loom`.
#[cfg(all(test, traffik_loom))]
mod tests {
    use loom::{model, sync::Arc, thread};

    use super::*;

    const LATE: Timestamp = Timestamp::from_micros(1_000_000);
    const LATER: Timestamp = Timestamp::from_micros(3_000_000);

    fn gate(failure_threshold: u64, success_threshold: u64) -> Arc<Gate> {
        let recovery_timeout = Duration::from_secs(1);
        Arc::new(Gate::new(Terms { failure_threshold, recovery_timeout, success_threshold }))
    }

    /// One that opened long ago.
    fn opened(success_threshold: u64) -> Arc<Gate> {
        let gate = gate(1, success_threshold);
        gate.failed(gate.enter(|| LATE).unwrap(), LATE);
        gate
    }

    /// Runs both on threads of their own.
    fn at_once<A: Send + 'static, B: Send + 'static>(
        gate: &Arc<Gate>,
        one: impl FnOnce(&Gate) -> A + Send + 'static,
        other: impl FnOnce(&Gate) -> B + Send + 'static,
    ) -> (A, B) {
        let (first, second) = (Arc::clone(gate), Arc::clone(gate));
        let one = thread::spawn(move || one(&first));
        let other = thread::spawn(move || other(&second));
        (one.join().unwrap(), other.join().unwrap())
    }

    #[test]
    fn no_failure_is_lost_and_it_opens_once() {
        model(|| {
            let gate = gate(2, 1);
            let fail = |gate: &Gate| gate.enter(|| LATE).map(|entry| gate.failed(entry, LATE));
            at_once(&gate, fail, fail);
            assert_eq!((gate.look().state, gate.openings()), (BreakerState::Open, 1));
        });
    }

    #[test]
    fn who_finds_it_open_knows_since_when() {
        model(|| {
            let gate = gate(1, 1);
            let fail = |gate: &Gate| gate.enter(|| LATE).map(|entry| gate.failed(entry, LATE));
            let look = |gate: &Gate| gate.enter(|| LATE).is_none_or(|entry| !entry.is_trial);
            assert!(at_once(&gate, fail, look).1, "nobody is a trial before its time");
        });
    }

    #[test]
    fn of_several_at_once_one_is_the_trial() {
        model(|| {
            let gate = opened(1);
            let enter = |gate: &Gate| gate.enter(|| LATER).is_some();
            let (one, other) = at_once(&gate, enter, enter);
            assert!(one ^ other);
        });
    }

    #[test]
    fn a_trial_that_is_given_up_leaves_its_place() {
        model(|| {
            let gate = opened(1);
            let entry = gate.enter(|| LATER).unwrap();
            let give_up = move |gate: &Gate| gate.left(entry);
            let ((), entered) = at_once(&gate, give_up, |gate| gate.enter(|| LATER));
            assert!(entered.or_else(|| gate.enter(|| LATER)).is_some());
            assert!(gate.enter(|| LATER).is_none());
        });
    }

    #[test]
    fn it_closes_once_enough_trials_succeeded() {
        model(|| {
            let gate = opened(2);
            let trial = |gate: &Gate| gate.enter(|| LATER).map(|entry| gate.succeeded(entry));
            at_once(&gate, trial, trial);
            assert_eq!(gate.look().state, BreakerState::Closed);
        });
    }

    #[test]
    fn a_trial_that_fails_opens_it_whatever_others_do() {
        model(|| {
            let gate = opened(2);
            let [one, other] = [(); 2].map(|()| gate.enter(|| LATER).unwrap());
            let fail = move |gate: &Gate| gate.failed(one, LATER);
            let succeed = move |gate: &Gate| gate.succeeded(other);
            at_once(&gate, fail, succeed);
            assert_eq!((gate.look().state, gate.openings()), (BreakerState::Open, 2));
        });
    }

    #[test]
    fn what_began_before_it_opened_says_nothing_of_what_is_now() {
        model(|| {
            let gate = gate(1, 1);
            let [late, first] = [(); 2].map(|()| gate.enter(|| LATE).unwrap());
            gate.failed(first, LATE);
            let fail_late = move |gate: &Gate| gate.failed(late, LATER);
            let trial = |gate: &Gate| gate.enter(|| LATER).map(|entry| gate.succeeded(entry));
            at_once(&gate, fail_late, trial);
            assert_eq!((gate.look().state, gate.openings()), (BreakerState::Closed, 1));
        });
    }
}
