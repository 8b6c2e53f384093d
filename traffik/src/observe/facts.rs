use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use traffik_core::clock::{AnyClock, Timestamp};

use super::{EventOutcome, Observers};

/// What the event of a limit says in addition to the limit.
#[derive(Debug)]
pub(crate) struct EventFacts {
    /// What was decided, if nothing was counted.
    pub(crate) uncounted: EventOutcome,
    pub(crate) is_enforced: bool,
    pub(crate) took: Took,
    /// Whether the event was made.
    is_made: AtomicBool,
}

/// How long a decision took, in microseconds up to 71 minutes. Zero if nothing observed it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Took(u32);

/// Measures a decision, if something observes it.
#[derive(Clone, Copy)]
pub(crate) struct Stopwatch<'a>(Option<(&'a AnyClock, Timestamp)>);

impl<'a> Stopwatch<'a> {
    #[inline]
    pub(crate) fn start(observers: &Observers, clock: &'a AnyClock) -> Self {
        Self(observers.measure().then(|| (clock, clock.now())))
    }

    #[inline]
    pub(crate) fn stop(self) -> Took {
        self.0.map_or(Took(0), |(clock, start)| Took::since(start, clock.now()))
    }
}

impl Took {
    #[cold]
    fn since(start: Timestamp, end: Timestamp) -> Self {
        let micros = end.as_micros().saturating_sub(start.as_micros());
        Self(micros.try_into().unwrap_or(u32::MAX))
    }

    pub(crate) fn duration(self) -> Duration {
        Duration::from_micros(self.0.into())
    }
}

impl EventFacts {
    #[inline]
    pub(crate) fn new(uncounted: EventOutcome, is_enforced: bool, took: Took) -> Self {
        Self { uncounted, is_enforced, took, is_made: AtomicBool::new(false) }
    }

    /// Returns `true` when it is called first. A limit that a later decision of its request shares has one event.
    #[inline]
    pub(crate) fn is_first_event(&self) -> bool {
        // The limit is shared after its event was made, so there are no concurrent calls.
        !self.is_made.load(Ordering::Relaxed) && {
            self.is_made.store(true, Ordering::Relaxed);
            true
        }
    }
}

/// A clone has an event of its own.
impl Clone for EventFacts {
    fn clone(&self) -> Self {
        Self::new(self.uncounted, self.is_enforced, self.took)
    }
}
