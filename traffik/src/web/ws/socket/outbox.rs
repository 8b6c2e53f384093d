//! What the socket does for its client, whatever the throttles: notices and control frames, both within bounds.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use axum::extract::ws::Message;
use futures_util::{Sink, SinkExt};
use traffik_core::{
    clock::{AnyClock, Timestamp},
    rate::Rate,
    strategy::{AnyStrategy, StoredState, Strategy, StrategyError, TokenBucket},
};

use super::shared::{SharedSocket, Side, Sleep, sleep};
use crate::web::ws::rejection::Notice;

/// Sends notices to the client.
///
/// It holds at most one notice, and a new one replaces it. So its size is bounded even if the client sends without
/// reading.
pub(super) struct Outbox {
    pub(super) notice: Option<Notice>,
    allowance: Allowance,
    /// Ends when the allowance has room again.
    pause: Option<Sleep>,
    /// Whether anything was written since the last flush.
    pub(super) is_unflushed: bool,
    /// Whether the last flush was incomplete, since the client did not read.
    pub(super) is_blocked: bool,
}

impl Outbox {
    const RATE: Rate = Rate::literal("10/s");
    const BURST: u64 = 100;

    pub(super) fn new() -> Self {
        let allowance = Allowance::new(TokenBucket::new().burst(Self::BURST), Self::RATE);
        Self { notice: None, allowance, pause: None, is_unflushed: false, is_blocked: false }
    }

    /// Sends and flushes, as far as the client reads.
    pub(super) fn poll(&mut self, shared: &mut SharedSocket, clock: &AnyClock, cx: &mut Context<'_>) {
        self.flush(shared, cx);
        self.send(shared, clock, cx);
        self.flush(shared, cx);
    }

    /// Writes the notice, if the client reads. The next flush sends it.
    pub(super) fn send(&mut self, shared: &mut SharedSocket, clock: &AnyClock, cx: &mut Context<'_>) {
        let mut pauses = || self.pause.as_mut().is_some_and(|pause| pause.as_mut().poll(cx).is_pending());
        if self.notice.is_none() || self.is_blocked || pauses() {
            return;
        }
        self.pause = None;
        match shared.poll_write(Side::Reader, cx, Sink::poll_ready) {
            Poll::Ready(Ok(())) => {}
            // The reader receives the error.
            Poll::Ready(Err(_)) => return self.notice = None,
            Poll::Pending => return,
        }
        let now = clock.now();
        if let Err(wait) = self.allowance.take(now) {
            let mut pause = sleep(clock, wait);
            // Registers the waker. If the time has passed already, the next poll sends the notice.
            self.pause = pause.as_mut().poll(cx).is_pending().then_some(pause);
            return;
        }
        if let Some(notice) = self.notice.take() {
            self.is_unflushed = shared.socket.start_send_unpin(notice.message(now)).is_ok();
        }
    }

    fn flush(&mut self, shared: &mut SharedSocket, cx: &Context<'_>) {
        if self.is_unflushed {
            self.is_blocked = shared.poll_write(Side::Reader, cx, Sink::poll_flush).is_pending();
            self.is_unflushed = self.is_blocked;
        }
    }
}

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

/// Limits how often the socket does something for its client, whatever the throttles.
#[derive(Debug)]
pub(super) struct Allowance {
    strategy: AnyStrategy,
    rate: Rate,
    past: Option<StoredState>,
}

impl Allowance {
    pub(super) fn new(bucket: TokenBucket, rate: Rate) -> Self {
        Self { strategy: bucket.into(), rate, past: None }
    }

    pub(super) fn check(&self) -> Result<(), StrategyError> {
        if self.rate.is_unlimited() { Ok(()) } else { self.strategy.check(self.rate) }
    }

    /// Takes one.
    ///
    /// # Errors
    ///
    /// Returns how long until one is available.
    fn take(&mut self, now: Timestamp) -> Result<(), Duration> {
        let verdict = self.strategy.decide(self.past.take(), self.rate, 1, now);
        self.past = verdict.past;
        if verdict.admitted {
            return Ok(());
        }
        Err(self.strategy.available_at(self.past.as_ref(), self.rate, 1, now).saturating_since(now))
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn allowance_has_a_burst_and_then_the_rate() {
        let mut allowance = Allowance::new(TokenBucket::new().burst(3), Rate::literal("10/s"));
        allowance.check().unwrap();
        let mut take = |millis: u64| allowance.take(Timestamp::from_micros(1_000_000_000 + millis * 1000));
        assert_eq!([take(0), take(0), take(0)], [Ok(()); 3]);
        assert_eq!(take(0), Err(Duration::from_millis(100)));
        assert_eq!(
            [take(99), take(100), take(100)],
            [Err(Duration::from_millis(1)), Ok(()), Err(Duration::from_millis(100))]
        );
    }

    #[test]
    fn unlimited_allowance_always_has_one() {
        let mut allowance = Allowance::new(TokenBucket::new(), Rate::literal("0/0"));
        allowance.check().unwrap();
        assert!((0..10_000).all(|_| allowance.take(Timestamp::from_micros(1)).is_ok()));
    }
}
