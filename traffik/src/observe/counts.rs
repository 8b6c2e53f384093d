use std::sync::atomic::{AtomicU64, Ordering};

use super::EventOutcome;

/// The decisions about one limit since the start of the app: see [`Traffik::counts`](crate::Traffik::counts).
///
/// Each counts the [events](crate::observe::Event) with one outcome. Requests to which the limit does not apply, and those of
/// exempt clients, are in none of them. Neither is the limit of a tuple that had room when another one refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Counts {
    /// The limit had room, and was charged.
    pub admitted: u64,
    /// The limit had no room, so the request was refused.
    pub refused: u64,
    /// The throttle would have rejected the request, but is in a [dry run](crate::Settings::dry_run).
    pub would_refuse: u64,
    /// No backend answered, and the request was admitted.
    pub unchecked: u64,
    /// The client was blocked.
    pub blocked: u64,
    /// There was no decision, and the request was rejected.
    pub errors: u64,
}

/// Counts the decisions about one limit, apart from what is read with each decision.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Counters {
    admitted: AtomicU64,
    refused: AtomicU64,
    would_refuse: AtomicU64,
    unchecked: AtomicU64,
    blocked: AtomicU64,
    errors: AtomicU64,
}

impl Counters {
    #[inline]
    pub(crate) fn add(&self, outcome: EventOutcome) {
        let counter = match outcome {
            EventOutcome::Admitted => &self.admitted,
            EventOutcome::Refused => &self.refused,
            EventOutcome::WouldRefuse => &self.would_refuse,
            EventOutcome::Unchecked => &self.unchecked,
            EventOutcome::Blocked => &self.blocked,
            EventOutcome::Error => &self.errors,
            EventOutcome::HadRoom
            | EventOutcome::Exempt
            | EventOutcome::NotApplied
            | EventOutcome::Unlimited
            | EventOutcome::Disabled => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds what was counted before for the same limit.
    pub(crate) fn continue_from(&self, earlier: &Self) {
        let Self { admitted, refused, would_refuse, unchecked, blocked, errors } = self;
        let counts = earlier.read();
        admitted.fetch_add(counts.admitted, Ordering::Relaxed);
        refused.fetch_add(counts.refused, Ordering::Relaxed);
        would_refuse.fetch_add(counts.would_refuse, Ordering::Relaxed);
        unchecked.fetch_add(counts.unchecked, Ordering::Relaxed);
        blocked.fetch_add(counts.blocked, Ordering::Relaxed);
        errors.fetch_add(counts.errors, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Counts {
        let Self { admitted, refused, would_refuse, unchecked, blocked, errors } = self;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            admitted: read(admitted),
            refused: read(refused),
            would_refuse: read(would_refuse),
            unchecked: read(unchecked),
            blocked: read(blocked),
            errors: read(errors),
        }
    }
}
