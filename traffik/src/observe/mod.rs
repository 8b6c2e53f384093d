//! Seeing what limits decide: events, a hook that receives them, and counters.
//!
//! Each limit of a decision is one [`Event`]: what was decided, by which backend, and how the client stands. A hook receives
//! the events of an app:
//!
//! ```
//! use traffik::{MemoryBackend, Traffik, observe::EventOutcome};
//!
//! let traffik = Traffik::builder(MemoryBackend::new("myapp"))
//!     .on_event(|event| {
//!         if event.outcome() == EventOutcome::Refused {
//!             let path = event.parts().map_or("", |parts| parts.uri.path());
//!             println!("{} refused {path}, for {:?}", event.uid(), event.retry_after());
//!         }
//!     })
//!     .build()?;
//! # Ok::<(), traffik::ConfigError>(())
//! ```
//!
//! # Which decisions have events
//!
//! All decisions that are made for a request, a message, an outgoing call or a caller: by [`Throttled`](crate::Throttled),
//! layers, attributes, [`Limiter`](crate::Limiter), [`Traffik::limiter`](crate::Traffik::limiter), [`Quota`](crate::Quota), the
//! messages of WebSockets, and [`outgoing`](crate::outgoing) calls. A caller that waits for its turn has one event for each
//! limit, once its wait is decided. Nothing has events that charges nothing: peeks, refunds and settlements.
//!
//! A limit that was charged earlier in the same request is not charged again, and has no second event. A caller that goes away
//! before it learns of the decision has no event.
//!
//! Without anything that observes, no event is made. [`Traffik::counts`](crate::Traffik::counts) counts all the same.
//!
//! The guide shows how to roll a limit out by a [dry run](crate::Settings::dry_run) and its events, in `docs/rolling-out.md`.

// What observes an app is added to the `Observers` of the `TraffikBuilder`. `Observers::emit` is the one place that passes events
// on, and `Limits::observe` and `Failed::observe` in `engine/events.rs` are the places that make them.

mod event;
#[cfg(feature = "admin")]
mod event_streams;
mod instruments;
mod log;
mod observers;

#[cfg(feature = "admin")]
pub(crate) use self::event_streams::{Listener, Message, Received};
#[cfg(feature = "file")]
pub(crate) use self::instruments::LimitsFileInstruments;
#[cfg(feature = "ws")]
pub(crate) use self::instruments::MessageInstruments;
pub(crate) use self::{
    event::Counters,
    instruments::{
        BreakerInstruments, ChangeKind, ChangeResult, Counter, Decision, Gauge, Held, LimitInstruments, table as metric,
    },
    log::{ClientDigest, LogThrottle, Outage, OutageLog, RefusalSample},
    observers::{EventFacts, Observers, Stopwatch, Took},
};
pub use self::{
    event::{Counts, Decider, Event, EventOutcome},
    log::LogLevel,
};
