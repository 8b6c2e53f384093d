use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use traffik_core::clock::AnyClock;

#[cfg(feature = "admin")]
use super::event_streams::EventStreams;
use super::{
    Event, EventOutcome, LogThrottle,
    refusal_log::{RefusalLog, RefusalSample},
};

/// Receives the events of an app: a hook, metrics, or logs.
pub(crate) trait Observer: Send + Sync + 'static {
    /// Receives the decision about one limit. It is called on the path of the request, without a lock.
    fn event(&self, event: &Event<'_>);

    /// Returns whether it reads the head of the request. If no observer does, nothing is copied for it.
    fn reads_parts(&self) -> bool {
        true
    }
}

/// What observes an app, in the order in which it was added.
#[derive(Default)]
pub(crate) struct Observers {
    all: Vec<Box<dyn Observer>>,
    pub(crate) refusals: RefusalLog,
    panics: LogThrottle,
    #[cfg(feature = "admin")]
    pub(crate) streams: std::sync::Arc<EventStreams>,
}

impl Observers {
    const PAUSE: Duration = Duration::from_secs(60);

    pub(crate) fn add(&mut self, observer: impl Observer) {
        self.all.push(Box::new(observer));
    }

    /// Returns whether anything observes the app. If not, no event is made.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        !self.all.is_empty() || self.has_listeners()
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
        self.all.iter().any(|observer| observer.reads_parts()) || self.refusals.is_on()
    }

    /// Logs a refusal, and passes the event to each observer. One that panics does not keep it from others, nor from the request.
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
        for observer in &self.all {
            let observed = catch_unwind(AssertUnwindSafe(|| observer.event(event)));
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
        f.debug_struct("Observers").field("count", &self.all.len()).finish_non_exhaustive()
    }
}
