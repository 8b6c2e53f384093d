//! What is logged of refusals and of outages, and how often.

use std::{
    fmt,
    hash::{BuildHasher, Hasher, RandomState},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use axum::http::request::Parts;
use siphasher::sip128::{Hasher128, SipHasher24};
use tracing::Level;
use traffik_core::{
    client::{Client, Key},
    clock::Timestamp,
};

use super::{Event, EventOutcome};

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

/// How refusals are logged: see [`TraffikBuilder::log_refusals`](crate::TraffikBuilder::log_refusals).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogLevel {
    /// Not at all.
    Off,
    /// At the level `TRACE` of [tracing](https://docs.rs/tracing).
    Trace,
    /// At the level `DEBUG`.
    #[default]
    Debug,
    /// At the level `INFO`.
    Info,
    /// At the level `WARN`.
    Warn,
    /// At the level `ERROR`.
    Error,
}

impl LogLevel {
    /// Returns the level of tracing.
    const fn level(self) -> Option<Level> {
        match self {
            Self::Off => None,
            Self::Trace => Some(Level::TRACE),
            Self::Debug => Some(Level::DEBUG),
            Self::Info => Some(Level::INFO),
            Self::Warn => Some(Level::WARN),
            Self::Error => Some(Level::ERROR),
        }
    }
}

/// Makes digests of clients: SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012) under a secret key.
/// Without the key no client can be told from a digest, nor tested against it.
#[derive(Clone, Copy)]
pub(crate) struct ClientDigest {
    key: [u64; 2],
}

/// The key of the digest that makes the key of a secret.
const OF_SECRETS: [u64; 2] = [0x7472_6166_6669_6b3a, 0x6c6f_6773_6563_7265];

impl ClientDigest {
    /// Creates digests that are the same in all processes with this secret.
    pub(crate) fn with_secret(secret: &[u8]) -> Self {
        let mut hasher = SipHasher24::new_with_keys(OF_SECRETS[0], OF_SECRETS[1]);
        hasher.write(secret);
        let hash = hasher.finish128();
        Self { key: [hash.h1, hash.h2] }
    }

    /// Returns the digest of a client: 16 hexadecimal digits.
    pub(crate) fn of(self, client: &Key) -> String {
        let [one, two] = self.key;
        let mut hasher = SipHasher24::new_with_keys(one, two);
        client.write_to(|bytes| hasher.write(bytes));
        format!("{:016x}", hasher.finish128().h1)
    }
}

/// Creates digests that no other process makes.
impl Default for ClientDigest {
    fn default() -> Self {
        let random = || RandomState::new().hash_one(());
        Self { key: [random(), random()] }
    }
}

/// Does not show the key.
impl fmt::Debug for ClientDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientDigest").finish_non_exhaustive()
    }
}

/// Decides what is logged of a backend that gives no answer: the start and the end of each outage, once.
///
/// Outages that follow each other are not logged more often than every ten seconds.
#[derive(Debug, Default)]
pub(crate) struct OutageLog {
    /// The start of the outage in microseconds; 0 while there is none.
    since: AtomicU64,
    failures: AtomicU64,
    /// Whether the start was logged.
    is_logged: AtomicBool,
    starts: LogThrottle,
}

/// An outage that has ended.
#[derive(Debug)]
pub(crate) struct Outage {
    pub(crate) lasted: Duration,
    /// The number of decisions without an answer.
    pub(crate) failures: u64,
}

impl OutageLog {
    const PAUSE: Duration = Duration::from_secs(10);

    /// Records a failure. Returns whether to log the start of an outage.
    pub(crate) fn failed(&self, now: Timestamp) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let start = self.since.compare_exchange(0, now.as_micros().max(1), Ordering::AcqRel, Ordering::Relaxed);
        let is_logged = start.is_ok() && self.starts.is_due_after(Self::PAUSE, now);
        if is_logged {
            self.is_logged.store(true, Ordering::Release);
        }
        is_logged
    }

    /// Returns whether the backend gave no answer when it was asked last.
    #[inline]
    pub(crate) fn is_out(&self) -> bool {
        self.since.load(Ordering::Relaxed) != 0
    }

    /// Records an answer. Returns the outage that has ended, if its start was logged.
    pub(crate) fn answered(&self, now: Timestamp) -> Option<Outage> {
        let since = self.since.swap(0, Ordering::AcqRel);
        if since == 0 {
            return None;
        }
        let failures = self.failures.swap(0, Ordering::Relaxed);
        let lasted = now.saturating_since(Timestamp::from_micros(since));
        self.is_logged.swap(false, Ordering::AcqRel).then_some(Outage { lasted, failures })
    }
}

/// Bounds how often a log line is written, so that an outage does not flood the log.
#[derive(Debug, Default)]
pub(crate) struct LogThrottle {
    /// The time of the last line in microseconds; 0 is never.
    last: AtomicU64,
}

impl LogThrottle {
    const PAUSE: Duration = Duration::from_secs(1);

    /// Returns whether the line is due, a second after the one before. Of several concurrent callers, one receives `true`.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.is_due_after(Self::PAUSE, now)
    }

    /// Returns whether the line is due, this long after the one before.
    pub(crate) fn is_due_after(&self, pause: Duration, now: Timestamp) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        let is_due = last == 0 || Duration::from_micros(now.as_micros().abs_diff(last)) >= pause;
        is_due && self.last.compare_exchange(last, now.as_micros().max(1), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_depends_on_the_client_and_the_secret() {
        let (one, other) =
            (ClientDigest::with_secret(b"a secret of 16 b"), ClientDigest::with_secret(b"another of 16 by"));
        let (alice, bob) = (Key::from("alice"), Key::from("bob"));
        assert_eq!(one.of(&alice), ClientDigest::with_secret(b"a secret of 16 b").of(&alice));
        assert_ne!(one.of(&alice), one.of(&bob));
        assert_ne!(one.of(&alice), other.of(&alice));
        assert_ne!(ClientDigest::default().of(&alice), ClientDigest::default().of(&alice));
        // It stays the same from release to release, so that lines of both can be compared.
        assert_eq!(one.of(&alice), "466f26239c09168d");
    }

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn outage_starts_once_and_ends_once() {
        let log = OutageLog::default();
        assert!(log.failed(at(1)) && !log.failed(at(2)) && !log.failed(at(60)));
        let outage = log.answered(at(61)).unwrap();
        assert_eq!((outage.lasted, outage.failures), (Duration::from_secs(60), 3));
        assert!(!log.is_out() && log.answered(at(62)).is_none());
    }

    #[test]
    fn outages_in_a_row_are_not_logged() {
        let log = OutageLog::default();
        assert!(log.failed(at(1)) && log.answered(at(2)).is_some());
        for second in 3..11 {
            assert!(!log.failed(at(second)) && log.is_out() && log.answered(at(second)).is_none());
        }
        assert!(log.failed(at(11)) && log.answered(at(12)).is_some());
    }

    #[test]
    fn message_is_due_immediately_and_after_each_pause() {
        let often = LogThrottle::default();
        let due = |micros| often.is_due(Timestamp::from_micros(micros));
        assert_eq!(
            [5, 6, 1_000_004, 1_000_005, 1_000_006, 2_000_005].map(due),
            [true, false, false, true, false, true]
        );
    }

    #[test]
    fn clock_that_goes_back_does_not_silence_messages() {
        let often = LogThrottle::default();
        assert!(often.is_due(Timestamp::from_micros(10_000_000)));
        assert!(often.is_due(Timestamp::from_micros(5)));
    }
}
