//! Metrics. Without the feature `metrics` every instrument is empty and does nothing.
//!
//! An instrument is one series of a [`Metric`](table::Metric). It registers itself when it is first used, so an app may install
//! its recorder after it has built its limits. From then on using it builds no key and looks nothing up.

mod instrument;
pub(crate) mod table;

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;

pub(crate) use self::instrument::{Counter, Gauge, Held, Histogram};
use self::table as metric;
use crate::observe::{Decider, EventOutcome};

/// The instruments of a limit.
#[derive(Debug, Default)]
pub(crate) struct LimitInstruments {
    decisions: [DecisionInstruments; PLACES],
    /// Those in the limit's own backend, and in its fallback.
    permits: [Gauge; 2],
    queued: Gauge,
    settlements: [[Counter; ChangeResult::ALL.len()]; ChangeKind::ALL.len()],
    overdraft: Counter,
}

/// The places in which a decision is made: those of [`Decider`], and a connection.
const PLACES: usize = Decider::ALL.len() + 1;

/// The instruments of decisions that are made in one place.
#[derive(Debug, Default)]
struct DecisionInstruments {
    counts: [Counter; EventOutcome::ALL.len()],
    duration: Histogram,
}

/// A decision about a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision<'a> {
    pub(crate) limit: &'a str,
    pub(crate) outcome: EventOutcome,
    pub(crate) by: Decider,
    pub(crate) backend: &'a str,
    /// Whether a connection keeps the limit.
    pub(crate) is_of_connection: bool,
    /// How long it took. `None` if no backend was asked.
    pub(crate) took: Option<Duration>,
}

/// A kind of change of a charge.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ChangeKind {
    Settle,
    ChargeMore,
    Refund,
}

/// The result of a change of a charge.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ChangeResult {
    Done,
    /// The charge had ended.
    Ended,
    /// The strategy cannot do it.
    Impossible,
    NotRun,
    /// It may have run.
    InDoubt,
    /// Too many changes waited.
    QueueFull,
}

impl ChangeKind {
    const ALL: [Self; 3] = [Self::Settle, Self::ChargeMore, Self::Refund];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Settle => "settle",
            Self::ChargeMore => "charge_more",
            Self::Refund => "refund",
        }
    }
}

impl ChangeResult {
    const ALL: [Self; 6] = [Self::Done, Self::Ended, Self::Impossible, Self::NotRun, Self::InDoubt, Self::QueueFull];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Ended => "ended",
            Self::Impossible => "impossible",
            Self::NotRun => "not_run",
            Self::InDoubt => "in_doubt",
            Self::QueueFull => "queue_full",
        }
    }
}

impl LimitInstruments {
    /// Counts a decision.
    #[inline]
    pub(crate) fn decided(&self, decision: Decision<'_>) {
        let Decision { limit, outcome, by, backend, is_of_connection, took } = decision;
        let place = if is_of_connection { PLACES - 1 } else { by as usize };
        let Some(DecisionInstruments { counts, duration }) = self.decisions.get(place) else { return };
        if let Some(count) = counts.get(outcome as usize) {
            count.add(&metric::DECISIONS, &[limit, outcome.as_str(), backend, by.as_str()], 1);
        }
        if let Some(took) = took {
            duration.record(&metric::DECISION_DURATION, &[backend, by.as_str()], took);
        }
    }

    /// Counts a permit until the returned value ends.
    pub(crate) fn permit(&self, limit: &str, backend: &str, is_fallback: bool) -> Held {
        let [own, fallback] = &self.permits;
        let gauge = if is_fallback { fallback } else { own };
        gauge.hold(&metric::ACTIVE_PERMITS, &[limit, backend])
    }

    /// Counts a request that is held until its turn, until the returned value is dropped.
    pub(crate) fn queued(&self, limit: &str) -> Held {
        self.queued.hold(&metric::QUEUED_REQUESTS, &[limit])
    }

    /// Counts a change of a charge.
    pub(crate) fn changed(&self, limit: &str, kind: ChangeKind, result: ChangeResult) {
        let counter = self.settlements.get(kind as usize).and_then(|results| results.get(result as usize));
        if let Some(counter) = counter {
            counter.add(&metric::SETTLEMENTS, &[limit, kind.as_str(), result.as_str()], 1);
        }
    }

    /// Counts a cost that was charged after the decision.
    pub(crate) fn overdrawn(&self, limit: &str, cost: u64) {
        self.overdraft.add(&metric::OVERDRAFT, &[limit], cost);
    }
}

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
        let mut shown = self.shown.lock();
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

/// The instruments of the limits file of an app.
#[cfg(feature = "file")]
#[derive(Debug, Default)]
pub(crate) struct LimitsFileInstruments {
    loaded: Counter,
    failed: Counter,
    invalid: Gauge,
    /// While the file is invalid.
    held: Mutex<Option<Held>>,
}

#[cfg(feature = "file")]
impl LimitsFileInstruments {
    /// Counts a load, and shows whether the file is valid. All series exist from the first call on.
    pub(crate) fn read(&self, is_valid: bool) {
        self.loaded.add(&metric::LIMITS_FILE_LOADS, &["loaded"], is_valid.into());
        self.failed.add(&metric::LIMITS_FILE_LOADS, &["failed"], (!is_valid).into());
        self.invalid.add(&metric::LIMITS_FILE_INVALID, &[], 0.0);
        let mut held = self.held.lock();
        if is_valid {
            *held = None;
        } else if held.is_none() {
            *held = Some(self.invalid.hold(&metric::LIMITS_FILE_INVALID, &[]));
        }
    }
}

/// The instruments of the messages of WebSockets.
#[cfg(feature = "ws")]
#[derive(Debug, Default)]
pub(crate) struct MessageInstruments {
    admitted: Counter,
    refused: Counter,
    failed: Counter,
}

#[cfg(feature = "ws")]
impl MessageInstruments {
    /// Counts a message: whether it was admitted, or `None` if there is no decision.
    pub(crate) fn checked(&self, admitted: Option<bool>) {
        let (counter, outcome) = match admitted {
            Some(true) => (&self.admitted, "admitted"),
            Some(false) => (&self.refused, "refused"),
            None => (&self.failed, "error"),
        };
        counter.add(&metric::MESSAGES, &[outcome], 1);
    }
}
