use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use traffik_core::clock::Timestamp;

use super::LogThrottle;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
