use std::time::{Duration, Instant};

/// The time until a reason is logged again in a later outage. A server may be lost again right after it returns.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// The maximum number of logged reasons. A server may word each error differently.
const MOST_REASONS: usize = 8;

/// Decides what is logged of outages: each reason once, and the end of each outage whose start was logged.
#[derive(Debug, Default)]
pub(crate) struct OutageLog {
    /// The reasons, when each was logged, and in which outage.
    reasons: Vec<(String, Instant, u64)>,
    /// The number of outages that are over.
    outages: u64,
    /// The last log line reported an outage.
    is_open: bool,
}

impl OutageLog {
    /// Returns whether to log this reason. One outage may have several reasons, such as a server that returns with a
    /// password.
    pub(crate) fn is_first(&mut self, words: &str) -> bool {
        let outage = self.outages;
        self.reasons.retain(|(_, at, logged_in)| *logged_in == outage || at.elapsed() < AGAIN_AFTER);
        let is_known = self.reasons.iter().any(|(reason, ..)| reason == words);
        if is_known || self.reasons.len() >= MOST_REASONS {
            return false;
        }
        self.reasons.push((words.to_owned(), Instant::now(), outage));
        self.is_open = true;
        true
    }

    /// Ends the outage. Returns whether to log its end.
    pub(crate) fn end(&mut self) -> bool {
        self.outages += 1;
        std::mem::take(&mut self.is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_logged_once_in_an_outage() {
        let mut log = OutageLog::default();
        let (closed, password) = ("it was closed", "it wants a password");
        assert!(log.is_first(closed) && !log.is_first(closed));
        assert!(log.is_first(password) && !log.is_first(password) && !log.is_first(closed));
        assert!(log.end() && !log.end());
    }

    #[test]
    fn short_outages_in_a_row_are_logged_once() {
        let (mut log, replica) = (OutageLog::default(), "it is a replica");
        assert!(log.is_first(replica) && log.end());
        for _ in 0..10 {
            assert!(!log.is_first(replica) && !log.end());
        }
        // A reason that persists is logged again after some time.
        for reason in &mut log.reasons {
            reason.1 -= AGAIN_AFTER;
        }
        assert!(log.is_first(replica) && !log.is_first(replica) && log.end());
    }

    #[test]
    fn number_of_reasons_is_bounded() {
        let mut log = OutageLog::default();
        assert_eq!((0..100).filter(|n| log.is_first(&n.to_string())).count(), MOST_REASONS);
    }
}
