//! What observes an app, and what it learns of a decision.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use traffik_core::clock::{AnyClock, Timestamp};

#[cfg(feature = "admin")]
use super::event_streams::EventStreams;
use super::{
    Event, EventOutcome, LogThrottle,
    log::{RefusalLog, RefusalSample},
};

/// A function of the app that receives events. It is called on the path of the request, without a lock.
type Hook = Box<dyn Fn(&Event<'_>) + Send + Sync>;

/// What observes an app, in the order in which it was added.
#[derive(Default)]
pub(crate) struct Observers {
    hooks: Vec<Hook>,
    pub(crate) refusals: RefusalLog,
    panics: LogThrottle,
    #[cfg(feature = "admin")]
    pub(crate) streams: std::sync::Arc<EventStreams>,
}

impl Observers {
    const PAUSE: Duration = Duration::from_secs(60);

    pub(crate) fn add(&mut self, hook: impl Fn(&Event<'_>) + Send + Sync + 'static) {
        self.hooks.push(Box::new(hook));
    }

    /// Returns whether anything observes the app. If not, no event is made.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        !self.hooks.is_empty() || self.has_listeners()
    }

    /// Returns whether anything reads a stream of the events.
    #[cfg(feature = "admin")]
    #[inline]
    fn has_listeners(&self) -> bool {
        self.streams.is_on()
    }

    #[cfg(not(feature = "admin"))]
    #[expect(clippy::unused_self, reason = "there are no streams")]
    fn has_listeners(&self) -> bool {
        false
    }

    /// Returns whether an event with this outcome is read.
    #[inline]
    pub(crate) fn want(&self, outcome: EventOutcome) -> bool {
        self.is_on() || self.refusals.wants(outcome)
    }

    /// Returns whether the time of a decision is measured.
    #[inline]
    pub(crate) fn measure(&self) -> bool {
        cfg!(feature = "metrics") || self.is_on()
    }

    /// Returns whether events have the head of their request. Where a handler checks, it is copied for that.
    pub(crate) fn read_parts(&self) -> bool {
        !self.hooks.is_empty() || self.refusals.is_on()
    }

    /// Logs a refusal, and passes the event to each hook. One that panics does not keep it from others, nor from the request.
    ///
    /// `clock` bounds the log lines. Defaults to the system's.
    pub(crate) fn emit(&self, event: &Event<'_>, sample: &RefusalSample, clock: Option<&AnyClock>) {
        let now = || clock.map_or_else(|| AnyClock::system().now(), AnyClock::now);
        if self.refusals.wants(event.outcome) {
            self.refusals.log(event, sample, now);
        }
        #[cfg(feature = "admin")]
        if self.has_listeners() {
            let at = clock.map_or_else(|| AnyClock::system().wall_clock(), AnyClock::wall_clock);
            self.streams.decided(event, at, self.refusals.digest);
        }
        for hook in &self.hooks {
            let observed = catch_unwind(AssertUnwindSafe(|| hook(event)));
            if observed.is_err() && self.panics.is_due_after(Self::PAUSE, now()) {
                tracing::error!(
                    uid = event.uid,
                    "a function that observes limits panicked: correct the function that `on_event` received"
                );
            }
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers").field("count", &self.hooks.len()).finish_non_exhaustive()
    }
}

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
