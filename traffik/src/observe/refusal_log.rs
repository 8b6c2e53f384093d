use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::request::Parts;
use tracing::Level;
use traffik_core::{client::Client, clock::Timestamp};

use super::{Event, EventOutcome, LogThrottle, client_digest::ClientDigest, log_level::LogLevel};

/// Logs the refusals of an app: of each limit one line a second.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog {
    pub(crate) level: LogLevel,
    pub(crate) digest: ClientDigest,
}

/// The refusals of one limit, of which some are logged.
#[derive(Debug, Default)]
pub(crate) struct RefusalSample {
    lines: LogThrottle,
    left_out: AtomicU64,
}

/// Makes an event at one of the levels, which the macro of tracing must know when it is compiled.
macro_rules! at_level {
    ($level:expr, $($event:tt)+) => {
        match $level {
            LogLevel::Off => {}
            LogLevel::Trace => tracing::event!(target: "traffik", Level::TRACE, $($event)+),
            LogLevel::Debug => tracing::event!(target: "traffik", Level::DEBUG, $($event)+),
            LogLevel::Info => tracing::event!(target: "traffik", Level::INFO, $($event)+),
            LogLevel::Warn => tracing::event!(target: "traffik", Level::WARN, $($event)+),
            LogLevel::Error => tracing::event!(target: "traffik", Level::ERROR, $($event)+),
        }
    };
}

impl RefusalLog {
    /// Returns whether a decision is one to log.
    #[inline]
    pub(super) fn wants(&self, outcome: EventOutcome) -> bool {
        matches!(outcome, EventOutcome::Refused | EventOutcome::WouldRefuse | EventOutcome::Blocked) && self.is_on()
    }

    /// Returns whether a refusal would be logged. Filters that look at more than the level see each line.
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.level.level().is_some_and(|level| level <= tracing::level_filters::LevelFilter::current())
    }

    /// Logs a refusal, unless its limit had a line within the last second. The next line has the number of those left out.
    pub(super) fn log(&self, event: &Event<'_>, sample: &RefusalSample, now: impl FnOnce() -> Timestamp) {
        if !sample.lines.is_due(now()) {
            sample.left_out.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let left_out = sample.left_out.swap(0, Ordering::Relaxed);
        let client = event.client.and_then(Client::key).map(|key| self.digest.of(key));
        at_level!(
            self.level,
            uid = event.uid,
            outcome = event.outcome.as_str(),
            cost = event.cost,
            retry_after = event.retry_after.map(|wait| wait.as_secs_f64()),
            path = event.parts.and_then(matched_path),
            client,
            left_out,
            "a limit refused"
        );
    }
}

/// Returns the path of the route, with the names of its parameters.
#[cfg(feature = "matched-path")]
fn matched_path(parts: &Parts) -> Option<&str> {
    parts.extensions.get::<axum::extract::MatchedPath>().map(axum::extract::MatchedPath::as_str)
}

/// The path itself may have anything in it, and no bound.
#[cfg(not(feature = "matched-path"))]
fn matched_path(_: &Parts) -> Option<&str> {
    None
}
