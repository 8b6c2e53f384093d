use std::task::{Context, Poll};

use axum::extract::ws::Message;
use futures_util::Sink;
use traffik_core::{
    clock::{AnyClock, Timestamp},
    rate::Rate,
};

use super::{
    allowance::Allowance,
    line::{Line, Side},
    stage::{Sleep, sleep},
};
use crate::web::ws::{notification::Notification, rejection::MessageRejection};

/// What the client is to be told. There is one notice at most, and the newest replaces it: so however many messages come, and
/// whether or not the client ever reads, nothing waits and nothing grows.
pub(super) struct Outbox {
    waiting: Option<Notice>,
    allowance: Allowance,
    /// Until there is an allowance again.
    turn: Option<Sleep>,
    /// Whether something was written since the last flush.
    is_unflushed: bool,
    /// Whether the last flush left something, since the client did not read.
    is_blocked: bool,
}

pub(super) enum Notice {
    Standard { notification: Notification, retry_at: Option<Timestamp> },
    Own(Message),
}

impl Notice {
    pub(super) fn of(rejection: &MessageRejection, now: Timestamp) -> Self {
        let retry_at = rejection.retry_after().map(|wait| now.saturating_add(wait));
        Self::Standard { notification: Notification::of(rejection), retry_at }
    }

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
    pub(super) fn put(&mut self, notice: Notice) {
        self.waiting = Some(notice);
    }

    /// Sends and flushes what there is, as far as the client takes it.
    pub(super) fn poll(&mut self, line: &mut Line, clock: &AnyClock, cx: &mut Context<'_>) {
        self.flush(line, cx);
        self.send(line, clock, cx);
        self.flush(line, cx);
    }

    /// Sends what there is, if the client takes it. The next flush hands it over.
    pub(super) fn send(&mut self, line: &mut Line, clock: &AnyClock, cx: &mut Context<'_>) {
        let mut waits = || self.turn.as_mut().is_some_and(|turn| turn.as_mut().poll(cx).is_pending());
        if self.waiting.is_none() || self.is_blocked || waits() {
            return;
        }
        self.turn = None;
        match line.poll_write(Side::Reader, cx, Sink::poll_ready) {
            Poll::Ready(Ok(())) => {}
            // The reader sees why.
            Poll::Ready(Err(_)) => return self.clear(),
            Poll::Pending => return,
        }
        let now = clock.now();
        if let Err(wait) = self.allowance.take(now) {
            let mut turn = sleep(clock, wait);
            // For its waker. Should its time have come, it is the next that is told.
            self.turn = turn.as_mut().poll(cx).is_pending().then_some(turn);
            return;
        }
        if let Some(notice) = self.waiting.take() {
            self.is_unflushed = line.start_send(notice.message(now)).is_ok();
        }
    }

    fn flush(&mut self, line: &mut Line, cx: &Context<'_>) {
        if self.is_unflushed {
            self.is_blocked = line.poll_write(Side::Reader, cx, Sink::poll_flush).is_pending();
            self.is_unflushed = self.is_blocked;
        }
    }
}
