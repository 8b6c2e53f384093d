//! What the log is told of outages: why there is no connection, once, and when there is one again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How often the same is said of one outage after the other: a server may be lost as soon as it is there.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// How many reasons are said, of which there are as many as a server finds words.
const MOST_REASONS: usize = 8;

#[derive(Default)]
pub(super) struct Said {
    reasons: Vec<Reason>,
    /// How many outages are over.
    outages: u64,
    /// What was said last is that there is no connection.
    is_lost: bool,
}

struct Reason {
    words: Arc<str>,
    at: Instant,
    outage: u64,
}

impl Said {
    /// Whether this is to be said: one line for an outage and not one for each attempt to end it, and another if there is
    /// another reason by now, as where a server that was restarted wants a password.
    pub(super) fn is_news(&mut self, words: &Arc<str>) -> bool {
        let (at, outage, said) = (Instant::now(), self.outages, self.reasons.len());
        match self.reasons.iter_mut().find(|reason| reason.words == *words) {
            Some(reason) if reason.outage == outage || at - reason.at < AGAIN_AFTER => return false,
            Some(reason) => (reason.at, reason.outage) = (at, outage),
            None if said >= MOST_REASONS => return false,
            None => self.reasons.push(Reason { words: Arc::clone(words), at, outage }),
        }
        self.is_lost = true;
        true
    }

    /// The outage is over: whether that is to be said.
    pub(super) fn is_over(&mut self) -> bool {
        self.outages += 1;
        self.reasons.retain(|reason| reason.at.elapsed() < AGAIN_AFTER);
        std::mem::take(&mut self.is_lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_said_once() {
        let mut said = Said::default();
        let (closed, password) = (Arc::from("it was closed"), Arc::from("it wants a password"));
        assert!(said.is_news(&closed) && !said.is_news(&closed));
        assert!(said.is_news(&password) && !said.is_news(&password) && !said.is_news(&closed));
        assert!(said.is_over() && !said.is_over());
    }

    #[test]
    fn what_comes_and_goes_is_not_said_each_time() {
        let mut said = Said::default();
        let replica = Arc::from("it is a replica");
        assert!(said.is_news(&replica) && said.is_over());
        for _ in 0..10 {
            assert!(!said.is_news(&replica) && !said.is_over());
        }
        // Of one that lasts it is said after a time.
        for reason in &mut said.reasons {
            reason.at -= AGAIN_AFTER;
        }
        assert!(said.is_news(&replica) && !said.is_news(&replica) && said.is_over());
    }

    #[test]
    fn there_is_an_end_to_reasons() {
        let mut said = Said::default();
        assert_eq!((0..100).filter(|n| said.is_news(&Arc::from(n.to_string()))).count(), MOST_REASONS);
    }
}
