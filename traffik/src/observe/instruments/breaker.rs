use std::sync::{
    Mutex, OnceLock, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::{Counter, Gauge, Held, table as metric};

/// The names of the states, in the order of their numbers.
const STATES: [&str; 3] = ["closed", "open", "half_open"];

/// The instruments of a circuit breaker. Those of one backend add up.
#[derive(Debug, Default)]
pub(crate) struct BreakerInstruments {
    /// The backend that it is in front of. Without one nothing is shown.
    backend: OnceLock<Box<str>>,
    by_state: [Gauge; STATES.len()],
    changes: [Counter; STATES.len()],
    shown: Mutex<Option<(usize, Held)>>,
    is_shown: AtomicBool,
}

impl BreakerInstruments {
    /// Sets the backend, unless it is known.
    pub(crate) fn name(&self, backend: &str) {
        self.backend.get_or_init(|| backend.into());
    }

    /// Returns `true` if the state has to be shown for the first time.
    #[inline]
    pub(crate) fn is_due(&self) -> bool {
        cfg!(feature = "metrics") && !self.is_shown.load(Ordering::Relaxed) && self.backend.get().is_some()
    }

    /// Counts a change to a state.
    pub(crate) fn changed(&self, state: usize) {
        if let (Some(backend), Some(counter), Some(name)) =
            (self.backend.get(), self.changes.get(state), STATES.get(state))
        {
            counter.add(&metric::BREAKER_CHANGES, &[backend, name], 1);
        }
    }

    /// Shows the state that `state` returns. Of concurrent callers, the last one reads it last.
    pub(crate) fn show(&self, state: impl FnOnce() -> usize) {
        let Some(backend) = self.backend.get() else { return };
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let state = state();
        if shown.as_ref().is_some_and(|(shown, _)| *shown == state) {
            return;
        }
        if let (Some(gauge), Some(name)) = (self.by_state.get(state), STATES.get(state)) {
            *shown = Some((state, gauge.hold(&metric::BREAKERS, &[backend, name])));
            self.is_shown.store(true, Ordering::Relaxed);
        }
    }
}
