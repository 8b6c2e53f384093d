use std::task::{Context, Poll};

use futures_util::{Sink, SinkExt};
use traffik_core::{clock::AnyClock, rate::Rate, strategy::TokenBucket};

use super::{
    allowance::Allowance,
    shared::{SharedSocket, Side},
    stage::{Sleep, sleep},
};
use crate::web::ws::notice::Notice;

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
