use axum::extract::ws::Message;
use traffik_core::{clock::Timestamp, rate::Rate};

use super::allowance::Allowance;

/// Bounds pings and pongs, which are not charged.
#[derive(Debug)]
pub(super) struct Controls {
    allowance: Allowance,
    /// The number of pings that were sent and not answered.
    owed: u32,
    /// The number of pings whose pongs the peer has not read.
    untaken: u32,
}

impl Controls {
    pub(super) const RATE: Rate = Rate::literal("10/s");

    /// The maximum of `untaken`. Each pong is buffered until the peer reads.
    const MOST_UNTAKEN: u32 = 64;

    pub(super) fn new(allowance: Allowance) -> Self {
        Self { allowance, owed: 0, untaken: 0 }
    }

    /// Records a message that the server sends.
    pub(super) fn note_sent(&mut self, message: &Message) {
        if matches!(message, Message::Ping(_)) {
            self.owed = self.owed.saturating_add(1);
        }
    }

    /// Checks whether a ping or a pong of the peer is within the bounds. Returns the reason if not.
    pub(super) fn admit(&mut self, message: &Message, is_blocked: bool, now: Timestamp) -> Result<(), &'static str> {
        if matches!(message, Message::Pong(_)) && self.owed > 0 {
            self.owed -= 1;
            return Ok(());
        }
        if matches!(message, Message::Ping(_)) {
            self.untaken = if is_blocked { self.untaken.saturating_add(1) } else { 0 };
        }
        if self.untaken > Self::MOST_UNTAKEN {
            return Err("Too many pings, and none of their answers read");
        }
        self.allowance.take(now).map_err(|_| "Too many control frames")
    }
}

#[cfg(test)]
mod tests {
    use traffik_core::strategy::TokenBucket;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

    #[test]
    fn pongs_that_were_asked_for_are_free() {
        let mut controls = Controls::new(Allowance::new(TokenBucket::new(), Controls::RATE));
        let (ping, pong) = (Message::Ping("".into()), Message::Pong("".into()));
        for _ in 0..100 {
            controls.note_sent(&ping);
            controls.note_sent(&pong);
        }
        assert!((0..110).all(|_| controls.admit(&pong, false, NOW).is_ok()));
        assert!(controls.admit(&pong, false, NOW).is_err());
    }

    #[test]
    fn pings_of_a_peer_that_reads_nothing_end_however_slow_they_come() {
        let mut controls = Controls::new(Allowance::new(TokenBucket::new(), Rate::literal("0/0")));
        let ping = Message::Ping("".into());
        assert!((0..64).all(|_| controls.admit(&ping, true, NOW).is_ok()));
        assert!(controls.admit(&ping, false, NOW).is_ok());
        assert!((0..64).all(|_| controls.admit(&ping, true, NOW).is_ok()));
        assert!(controls.admit(&ping, true, NOW).is_err());
    }
}
