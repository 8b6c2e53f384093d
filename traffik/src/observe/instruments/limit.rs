use std::time::Duration;

use super::{Counter, Gauge, Held, Histogram, table as metric};
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
