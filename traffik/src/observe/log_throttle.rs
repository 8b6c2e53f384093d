use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use traffik_core::clock::Timestamp;

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
