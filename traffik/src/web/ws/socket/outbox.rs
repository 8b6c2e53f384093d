use std::task::{Context, Poll};

use axum::extract::ws::Message;
use traffik_core::{
    clock::{AnyClock, Timestamp},
    rate::Rate,
};

use super::{
    allowance::Allowance,
    line::Line,
    stage::{Sleep, sleep},
    wakers::Side,
};
use crate::web::ws::notification::Notification;

/// What the client is to be told. There is one at most, and the newest replaces it: so however many messages come, and
/// whether or not the client ever reads, nobody waits and nothing grows.
#[derive(Debug)]
pub(super) struct Outbox {
    waiting: Option<Notice>,
    allowance: Allowance,
    /// Until there is an allowance again.
    turn: Option<Turn>,
    /// Whether something was written since the last flush.
    is_unflushed: bool,
    /// Whether the last flush left something, since the client did not read.
    is_blocked: bool,
}

#[derive(Debug)]
pub(super) enum Notice {
    Standard { notification: Notification, retry_at: Option<Timestamp> },
    Own(Message),
}

struct Turn(Sleep);

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Turn(..)")
    }
}

impl Notice {
    fn message(self, now: Timestamp) -> Message {
        match self {
            Self::Standard { notification, retry_at } => {
                notification.message(retry_at.map(|then| then.saturating_since(now)))
            }
            Self::Own(message) => message,
        }
    }
}

impl Outbox {
    const RATE: Rate = Rate::literal("10/s");
    const AT_ONCE: u64 = 100;

    pub(super) fn new() -> Self {
        let allowance = Allowance::with_burst(Self::RATE, Self::AT_ONCE);
        Self { waiting: None, allowance, turn: None, is_unflushed: false, is_blocked: false }
    }

    /// Whether the client has not taken what was sent.
    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Has everything flushed that was written, by whomever.
    pub(super) fn flush_soon(&mut self) {
        self.is_unflushed = true;
    }

    /// Forgets what was not sent.
    pub(super) fn clear(&mut self) {
        self.waiting = None;
    }

    /// Tells this rather than what was not sent yet.
    pub(super) fn put(&mut self, notice: Notice, line: &mut Line, clock: &AnyClock, cx: &mut Context<'_>) {
        self.waiting = Some(notice);
        if self.turn.is_none() {
            self.send(line, clock, cx);
        }
    }

    /// Sends and flushes what there is, as far as the client takes it.
    pub(super) fn poll(&mut self, line: &mut Line, clock: &AnyClock, cx: &mut Context<'_>) {
        self.flush(line, cx);
        if self.waiting.is_some() {
            self.send(line, clock, cx);
            self.flush(line, cx);
        }
    }

    fn send(&mut self, line: &mut Line, clock: &AnyClock, cx: &mut Context<'_>) {
        if self.is_blocked || self.turn.as_mut().is_some_and(|Turn(turn)| turn.as_mut().poll(cx).is_pending()) {
            return;
        }
        self.turn = None;
        match line.poll_ready(Side::Reader, cx) {
            Poll::Ready(Ok(())) => {}
            // Whoever reads sees why.
            Poll::Ready(Err(_)) => return self.clear(),
            Poll::Pending => return,
        }
        let now = clock.now();
        if let Err(wait) = self.allowance.take(now) {
            let mut turn = sleep(clock, wait);
            // For its waker. Should its time have come, it is the next that is told.
            self.turn = turn.as_mut().poll(cx).is_pending().then_some(Turn(turn));
            return;
        }
        if let Some(notice) = self.waiting.take() {
            self.is_unflushed = line.start_send(notice.message(now)).is_ok();
        }
    }

    fn flush(&mut self, line: &mut Line, cx: &Context<'_>) {
        if self.is_unflushed {
            self.is_blocked = line.poll_flush(Side::Reader, cx).is_pending();
            self.is_unflushed = self.is_blocked;
        }
    }
}
