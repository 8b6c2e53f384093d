use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use traffik_core::{
    backend::BackendError,
    clock::{AnyClock, Timestamp},
};

/// Whether a backend answers.
#[derive(Debug, Default)]
pub(super) struct Availability {
    /// Whether the last call got an answer. Calls then write nothing.
    answers: AtomicBool,
    state: Mutex<AvailabilityState>,
}

/// Whether a backend answers, and since when.
#[derive(Clone, Debug, Default)]
pub(crate) struct AvailabilityState {
    /// `None` until the first call.
    pub(crate) answers: Option<bool>,
    /// When `answers` changed last.
    pub(crate) since: Option<Timestamp>,
    pub(crate) last_error: Option<LastError>,
}

/// An error, and when it occurred.
#[derive(Clone, Debug)]
pub(crate) struct LastError {
    pub(crate) text: String,
    pub(crate) at: Timestamp,
}

impl Availability {
    /// A call got an answer.
    #[inline]
    pub(super) fn answered(&self, clock: &AnyClock) {
        if !self.answers.load(Ordering::Relaxed) {
            self.changed(true, clock.now());
        }
    }

    /// A call got no answer.
    #[cold]
    pub(super) fn failed(&self, error: &BackendError, now: Timestamp) {
        self.changed(false, now);
        self.lock().last_error = Some(LastError { text: error.to_string(), at: now });
    }

    pub(super) fn state(&self) -> AvailabilityState {
        self.lock().clone()
    }

    #[cold]
    fn changed(&self, answers: bool, now: Timestamp) {
        let mut state = self.lock();
        self.answers.store(answers, Ordering::Relaxed);
        if state.answers != Some(answers) {
            (state.answers, state.since) = (Some(answers), Some(now));
        }
    }

    fn lock(&self) -> MutexGuard<'_, AvailabilityState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
