//! Reads messages, decides about them, and yields those that are admitted.

use std::{
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Error,
    extract::ws::{CloseFrame, Message, close_code},
};
use futures_util::{
    FutureExt, Sink, SinkExt, StreamExt,
    stream::{FusedStream, Stream},
};
use traffik_core::clock::Timestamp;

use super::{
    ThrottledSocket,
    shared::{Boxed, Read, Side, Sleep, sleep},
};
use crate::{
    engine::Limits,
    web::ws::{
        messages::Messages,
        over_limit::{Action, Kind, Violation, fitting},
        rejection::{MessageRejection, Notice},
    },
};

/// The maximum number of steps before other tasks run. Otherwise a client that sends fast would occupy the thread.
const MAX_STEPS: usize = 64;

/// The time for the peer to answer a close frame.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// The minimum time before a backend that gave no answer is called again about a held message, also if a function says
/// less.
const SOONEST: Duration = Duration::from_millis(100);

/// The result of a step.
enum Step {
    Again,
    Yield(Read),
}

/// The stage of the reader. The futures own their message.
#[derive(Default)]
pub(super) enum Stage {
    /// The next message is awaited.
    #[default]
    Reading,
    /// A backend decides about a message.
    Deciding(Boxed<(Case, Result<Limits, MessageRejection>)>),
    /// A function of the user decides about a message over the limit.
    Asking(Boxed<(Case, Notice, Action)>),
    /// A message is held: it was admitted with a delay, or its limits are checked again later.
    Holding { held: Boxed<Case>, is_admitted: bool },
    /// A message waits in the line of its client.
    Waiting(Boxed<(Case, Result<Limits, MessageRejection>)>),
    /// The connection is being closed: the frame, until it is written, and the maximum time.
    Closing(Option<CloseFrame>, Sleep),
    /// The connection has ended.
    Ended,
}

/// A message that is not yielded yet.
pub(super) struct Case {
    message: Message,
    /// Until when it can be held, once it was.
    held_until: Option<Timestamp>,
    /// Whether it has been over the limit.
    is_violation: bool,
}

impl Stage {
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Closing(..) | Self::Ended)
    }
}

impl Stream for ThrottledSocket {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let read = this.poll_steps(cx);
        this.outbox.poll(&mut this.shared, &this.clock, cx);
        read
    }
}

impl FusedStream for ThrottledSocket {
    fn is_terminated(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }
}

impl ThrottledSocket {
    fn poll_steps(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        for _ in 0..MAX_STEPS {
            let step = ready!(self.poll_step(cx));
            self.outbox.send(&mut self.shared, &self.clock, cx);
            if let Step::Yield(read) = step {
                return Poll::Ready(read);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        // If a future panics, it is dropped, and the next message is read.
        Poll::Ready(match mem::take(&mut self.stage) {
            Stage::Reading => {
                let read = match self.ahead.take() {
                    Some(read) => read,
                    None => ready!(self.shared.socket.poll_next_unpin(cx)),
                };
                self.begin(read)
            }
            Stage::Deciding(mut decision) => match decision.as_mut().poll(cx) {
                Poll::Ready((case, answer)) => self.conclude(case, answer),
                Poll::Pending => return self.stay(Stage::Deciding(decision)),
            },
            Stage::Asking(mut answer) => match answer.as_mut().poll(cx) {
                Poll::Ready((case, notice, action)) => self.act(case, notice, action),
                Poll::Pending => return self.stay(Stage::Asking(answer)),
            },
            Stage::Holding { mut held, is_admitted } => match (held.as_mut().poll(cx), is_admitted) {
                (Poll::Ready(case), true) => self.pass_on(case),
                (Poll::Ready(case), false) => self.decide(case),
                (Poll::Pending, is_admitted) => {
                    self.stage = Stage::Holding { held, is_admitted };
                    ready!(self.poll_ahead(is_admitted, cx))
                }
            },
            Stage::Waiting(mut turn) => match turn.as_mut().poll(cx) {
                Poll::Ready((case, answer)) => self.conclude_wait(case, answer),
                Poll::Pending => {
                    self.stage = Stage::Waiting(turn);
                    ready!(self.poll_ahead(false, cx))
                }
            },
            closing @ Stage::Closing(..) => {
                self.stage = closing;
                ready!(self.poll_closing(cx))
            }
            Stage::Ended => {
                self.stage = Stage::Ended;
                Step::Yield(None)
            }
        })
    }

    fn stay(&mut self, stage: Stage) -> Poll<Step> {
        self.stage = stage;
        Poll::Pending
    }

    fn begin(&mut self, read: Read) -> Step {
        match read {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                self.decide(Case { message, held_until: None, is_violation: false })
            }
            Some(Ok(message @ (Message::Ping(_) | Message::Pong(_)))) => self.control(message),
            Some(other) => Step::Yield(Some(other)),
            None => self.end(),
        }
    }

    fn decide(&mut self, case: Case) -> Step {
        self.stage = Stage::Deciding(self.hit(case, None));
        Step::Again
    }

    fn hit(&self, case: Case, wait: Option<Duration>) -> Boxed<(Case, Result<Limits, MessageRejection>)> {
        let messages = self.messages_like(&case.message);
        let cost = self.over_limit.check().and_then(|()| messages.cost_of(&case.message));
        let limits = Arc::clone(&messages.limits);
        let may_be_held = wait.is_none() && matches!(self.over_limit.0, Kind::Wait(_));
        Box::pin(async move {
            let answer = if may_be_held { limits.try_hit(cost, None).await } else { limits.hit(cost, wait).await };
            (case, answer)
        })
    }

    /// Returns the limits of a message.
    fn messages_like(&self, message: &Message) -> &Messages<()> {
        let kind = self.kinds.iter().find(|(is_it, _)| is_it(message));
        kind.map_or(&self.messages, |(_, messages)| messages)
    }

    /// A message whose turn did not come in time is not held again.
    fn conclude_wait(&mut self, case: Case, answer: Result<Limits, MessageRejection>) -> Step {
        match answer {
            Err(rejection @ MessageRejection::Limited(_)) => {
                self.act(case, rejection.notice(self.clock.now()), Action::Notify)
            }
            answer => self.conclude(case, answer),
        }
    }

    fn conclude(&mut self, mut case: Case, answer: Result<Limits, MessageRejection>) -> Step {
        let rejection = match answer {
            Ok(limits) if limits.delay().is_zero() => return self.pass_on(case),
            Ok(limits) => return self.hold(case, limits.delay(), true),
            Err(rejection) => rejection,
        };
        if matches!(rejection, MessageRejection::Limited(_)) && !mem::replace(&mut case.is_violation, true) {
            self.violations = self.violations.saturating_add(1);
        }
        let (notice, retry_after) = (rejection.notice(self.clock.now()), rejection.retry_after());
        let action = match (&self.over_limit.0, rejection) {
            (_, raised @ (MessageRejection::Raised(_) | MessageRejection::Misconfigured(_))) => {
                self.stage = Stage::Reading;
                return Step::Yield(Some(Err(Error::new(raised))));
            }
            (Kind::Skip, _) => Action::Skip,
            (Kind::Wait(wait), rejection) => {
                let longest = wait.longest;
                let refusal = match rejection {
                    MessageRejection::Limited(limits) => Some(limits),
                    _ => None,
                };
                return self.wait(case, notice, retry_after, longest, refusal);
            }
            (Kind::Close(close), MessageRejection::Limited(_)) => close.action(self.violations),
            (Kind::Function(function), MessageRejection::Limited(limits)) => {
                let answer = (function.0)(Violation { limits, message: case.message.clone(), count: self.violations });
                self.stage = Stage::Asking(Box::pin(async move { (case, notice, answer.await) }));
                return Step::Again;
            }
            // The client is not responsible for an outage.
            (Kind::Notify | Kind::Close(_) | Kind::Function(_), _) => Action::Notify,
        };
        self.act(case, notice, action)
    }

    fn act(&mut self, case: Case, notice: Notice, action: Action) -> Step {
        self.stage = Stage::Reading;
        match action {
            Action::Notify => self.outbox.notice = Some(notice),
            Action::Reply(message) => self.outbox.notice = Some(Notice::Custom(message)),
            Action::Skip => {}
            Action::Admit => return self.pass_on(case),
            Action::Close(frame) => return self.close(frame),
        }
        Step::Again
    }

    fn pass_on(&mut self, case: Case) -> Step {
        self.stage = Stage::Reading;
        Step::Yield(Some(Ok(case.message)))
    }

    fn hold(&mut self, case: Case, time: Duration, is_admitted: bool) -> Step {
        let held = sleep(&self.clock, time).map(|()| case);
        self.stage = Stage::Holding { held: Box::pin(held), is_admitted };
        Step::Again
    }

    /// Holds a message until its turn, or until its limits can be checked, if that is soon enough. `refusal` is not reported yet.
    fn wait(
        &mut self,
        case: Case,
        notice: Notice,
        retry_after: Option<Duration>,
        longest: Duration,
        refusal: Option<Limits>,
    ) -> Step {
        let now = self.clock.now();
        let held_until = case.held_until.unwrap_or_else(|| now.saturating_add(longest));
        let soonest = if refusal.is_some() { Duration::ZERO } else { SOONEST };
        let wait = retry_after.map(|wait| wait.max(soonest));
        let case = Case { held_until: Some(held_until), ..case };
        match wait.filter(|wait| now.saturating_add(*wait) <= held_until) {
            Some(_) if refusal.is_some() => {
                self.stage = Stage::Waiting(self.hit(case, Some(held_until.saturating_since(now))));
                Step::Again
            }
            Some(wait) => self.hold(case, wait, false),
            None => {
                if let Some(limits) = refusal {
                    self.messages_like(&case.message).limits.refused(&limits);
                }
                self.act(case, notice, Action::Notify)
            }
        }
    }

    /// Reads one message ahead while another is held, to answer pings and to notice the end.
    fn poll_ahead(&mut self, is_admitted: bool, cx: &mut Context<'_>) -> Poll<Step> {
        if self.ahead.is_some() {
            return Poll::Pending;
        }
        let read = ready!(self.shared.socket.poll_next_unpin(cx));
        let is_end = match read {
            Some(Ok(message @ (Message::Ping(_) | Message::Pong(_)))) => return Poll::Ready(self.control(message)),
            Some(Ok(Message::Text(_) | Message::Binary(_))) => false,
            Some(Ok(Message::Close(_)) | Err(_)) | None => true,
        };
        self.ahead = Some(read);
        if is_end && !is_admitted {
            // The held message was not admitted, and nothing waits for it any more.
            self.stage = Stage::Reading;
            return Poll::Ready(Step::Again);
        }
        Poll::Pending
    }

    /// Handles a ping or a pong.
    fn control(&mut self, message: Message) -> Step {
        if matches!(message, Message::Ping(_)) {
            // The answer is sent with the next flush.
            self.outbox.is_unflushed = true;
        }
        match self.controls.admit(&message, self.outbox.is_blocked, self.clock.now()) {
            Ok(()) => Step::Yield(Some(Ok(message))),
            Err(reason) => self.close(CloseFrame { code: close_code::POLICY, reason: reason.into() }),
        }
    }

    fn close(&mut self, CloseFrame { code, reason }: CloseFrame) -> Step {
        self.outbox.notice = None;
        let frame = CloseFrame { code, reason: fitting(reason.as_str()) };
        self.stage = Stage::Closing(Some(frame), sleep(&self.clock, CLOSING_TIME));
        Step::Again
    }

    /// Waits until the peer has answered. If a connection ends with unread data, the peer may not receive the close
    /// frame.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let Stage::Closing(frame, time) = &mut self.stage else { return Poll::Ready(Step::Again) };
        // Flushed before, because the answer to a ping would otherwise be sent after the close frame.
        let is_ready = frame.is_some() && self.shared.poll_write(Side::Reader, cx, Sink::poll_flush).is_ready();
        if is_ready && self.shared.socket.start_send_unpin(Message::Close(frame.take())).is_err() {
            return Poll::Ready(self.end());
        }
        let is_lost = matches!(self.shared.poll_write(Side::Reader, cx, Sink::poll_flush), Poll::Ready(Err(_)));
        if is_lost || time.as_mut().poll(cx).is_ready() {
            return Poll::Ready(self.end());
        }
        if frame.is_some() {
            // Nothing is read, because pings would still be answered.
            return Poll::Pending;
        }
        match ready!(self.shared.socket.poll_next_unpin(cx)) {
            Some(Ok(_)) => Poll::Ready(Step::Again),
            Some(Err(_)) | None => Poll::Ready(self.end()),
        }
    }

    fn end(&mut self) -> Step {
        self.stage = Stage::Ended;
        self.shared.wake();
        Step::Yield(None)
    }
}
