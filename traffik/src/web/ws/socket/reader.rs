//! Messages are read, decided about, and passed on or not.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    Error,
    extract::ws::{CloseFrame, Message, close_code},
};
use futures_core::{FusedStream, Stream};

use super::{
    ThrottledSocket,
    line::Read,
    outbox::Notice,
    stage::{Case, Sleep, Stage, Then, sleep},
    wakers::Side,
};
use crate::{
    engine::Limits,
    web::ws::{
        notification::Notification,
        over_limit::{Action, Kind, Violation, fitting},
        rejection::MessageRejection,
    },
};

/// So many steps are done without letting others run: messages may come faster than they are turned away.
const STEPS_AT_ONCE: usize = 64;

/// How long the peer has to answer when the connection is closed.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// How soon a backend that gave no answer is asked again about a message that is held, whatever a function says.
const SOONEST: Duration = Duration::from_millis(100);

/// What comes of a step.
enum Step {
    Again,
    Yield(Read),
}

impl Stream for ThrottledSocket {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let read = this.poll_steps(cx);
        this.outbox.poll(&mut this.line, &this.clock, cx);
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
        for _ in 0..STEPS_AT_ONCE {
            if let Step::Yield(read) = ready!(self.poll_step(cx)) {
                return Poll::Ready(read);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        match mem::take(&mut self.stage) {
            Stage::Reading => self.poll_reading(cx),
            Stage::Deciding(case, mut decision) => match decision.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(self.conclude(case, answer, cx)),
                Poll::Pending => self.pending(Stage::Deciding(case, decision)),
            },
            Stage::Asking(case, notice, mut answer) => match answer.as_mut().poll(cx) {
                Poll::Ready(action) => Poll::Ready(self.act(case, notice, action, cx)),
                Poll::Pending => self.pending(Stage::Asking(case, notice, answer)),
            },
            Stage::Holding(case, time, then) => self.poll_holding(case, time, then, cx),
            Stage::Closing(frame, time) => self.poll_closing(frame, time, cx),
            Stage::Ended => Poll::Ready(self.end()),
        }
    }

    fn pending(&mut self, stage: Stage) -> Poll<Step> {
        self.stage = stage;
        Poll::Pending
    }

    fn poll_reading(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        let read = match self.ahead.take() {
            Some(read) => read,
            None => ready!(self.line.poll_read(cx)),
        };
        Poll::Ready(match read {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                self.decide(Case { message, held_until: None })
            }
            Some(Ok(message @ (Message::Ping(_) | Message::Pong(_)))) => self.control(message),
            Some(other) => Step::Yield(Some(other)),
            None => self.end(),
        })
    }

    fn decide(&mut self, case: Case) -> Step {
        let tariff = self.kinds.of(&case.message).clone();
        let cost = tariff.cost.of(&case.message);
        self.stage = Stage::Deciding(case, Box::pin(async move { tariff.hit(cost).await }));
        Step::Again
    }

    fn conclude(&mut self, case: Case, answer: Result<Limits, MessageRejection>, cx: &mut Context<'_>) -> Step {
        let rejection = match answer {
            Ok(limits) => return self.admit(case, limits.delay()),
            Err(rejection) => rejection,
        };
        let (notification, retry_after) = (Notification::of(&rejection), rejection.retry_after());
        let now = self.clock.now();
        let notice = Notice::Standard { notification, retry_at: retry_after.map(|wait| now.saturating_add(wait)) };
        match rejection {
            MessageRejection::Limited(limits) => self.violated(case, limits, retry_after, notice, cx),
            // No fault of the client's.
            MessageRejection::Unavailable { retry_after, .. } => match &self.over_limit.0 {
                Kind::Skip => Step::Again,
                Kind::Wait(wait) => {
                    let longest = wait.longest;
                    self.hold(case, Some(retry_after.max(SOONEST)), longest, notice, cx)
                }
                Kind::Notify | Kind::Close(_) | Kind::Function(_) => self.tell(notice, cx),
            },
            raised @ (MessageRejection::Raised(_) | MessageRejection::Misconfigured(_)) => {
                Step::Yield(Some(Err(Error::new(raised))))
            }
        }
    }

    /// Passes a message on, once it was held for as long as a strategy says.
    fn admit(&mut self, case: Case, delay: Duration) -> Step {
        if delay.is_zero() {
            return Step::Yield(Some(Ok(case.message)));
        }
        self.stage = Stage::Holding(case, sleep(&self.clock, delay), Then::PassOn);
        Step::Again
    }

    /// A message is over the limit.
    fn violated(
        &mut self,
        case: Case,
        limits: Limits,
        retry_after: Option<Duration>,
        notice: Notice,
        cx: &mut Context<'_>,
    ) -> Step {
        if case.held_until.is_none() {
            self.violations = self.violations.saturating_add(1);
        }
        match &self.over_limit.0 {
            Kind::Skip => Step::Again,
            Kind::Close(close) if close.is_due(self.violations) => {
                let frame = close.frame();
                self.close(frame)
            }
            Kind::Notify | Kind::Close(_) => self.tell(notice, cx),
            Kind::Wait(wait) => {
                let longest = wait.longest;
                self.hold(case, retry_after, longest, notice, cx)
            }
            Kind::Function(function) => {
                let violation = Violation::new(limits, case.message.clone(), self.violations);
                self.stage = Stage::Asking(case, notice, function.ask(violation));
                Step::Again
            }
        }
    }

    fn act(&mut self, case: Case, notice: Notice, action: Action, cx: &mut Context<'_>) -> Step {
        match action {
            Action::Notify => self.tell(notice, cx),
            Action::Reply(message) => self.tell(Notice::Own(message), cx),
            Action::Skip => Step::Again,
            Action::Admit => Step::Yield(Some(Ok(case.message))),
            Action::Close(frame) => self.close(frame),
        }
    }

    fn tell(&mut self, notice: Notice, cx: &mut Context<'_>) -> Step {
        self.outbox.put(notice, &mut self.line, &self.clock, cx);
        Step::Again
    }

    /// Holds a message until it may be admitted, if that is soon enough.
    fn hold(
        &mut self,
        case: Case,
        retry_after: Option<Duration>,
        longest: Duration,
        notice: Notice,
        cx: &mut Context<'_>,
    ) -> Step {
        let now = self.clock.now();
        let held_until = case.held_until.unwrap_or_else(|| now.saturating_add(longest));
        match retry_after.filter(|wait| now.saturating_add(*wait) <= held_until) {
            Some(wait) => {
                let case = Case { held_until: Some(held_until), ..case };
                self.stage = Stage::Holding(case, sleep(&self.clock, wait), Then::AskAgain);
                Step::Again
            }
            None => self.tell(notice, cx),
        }
    }

    /// Reads one message ahead meanwhile: for the pings before it, and to see the end.
    fn poll_holding(&mut self, case: Case, mut time: Sleep, then: Then, cx: &mut Context<'_>) -> Poll<Step> {
        if time.as_mut().poll(cx).is_ready() {
            return Poll::Ready(match then {
                Then::PassOn => Step::Yield(Some(Ok(case.message))),
                Then::AskAgain => self.decide(case),
            });
        }
        if self.ahead.is_some() {
            return self.pending(Stage::Holding(case, time, then));
        }
        match self.line.poll_read(cx) {
            Poll::Pending => self.pending(Stage::Holding(case, time, then)),
            Poll::Ready(Some(Ok(message @ (Message::Ping(_) | Message::Pong(_))))) => {
                self.stage = Stage::Holding(case, time, then);
                Poll::Ready(self.control(message))
            }
            Poll::Ready(read @ Some(Ok(Message::Text(_) | Message::Binary(_)))) => {
                self.ahead = Some(read);
                self.pending(Stage::Holding(case, time, then))
            }
            // The end: nobody waits any more for what was not admitted yet.
            Poll::Ready(read) => {
                self.ahead = Some(read);
                match then {
                    Then::PassOn => self.pending(Stage::Holding(case, time, then)),
                    Then::AskAgain => Poll::Ready(Step::Again),
                }
            }
        }
    }

    /// A ping or a pong.
    fn control(&mut self, message: Message) -> Step {
        if matches!(message, Message::Ping(_)) {
            // Its answer goes out with the next flush.
            self.outbox.flush_soon();
        }
        match self.controls.admit(&message, self.outbox.is_blocked(), self.clock.now()) {
            Ok(()) => Step::Yield(Some(Ok(message))),
            Err(reason) => self.close(CloseFrame { code: close_code::POLICY, reason: reason.into() }),
        }
    }

    fn close(&mut self, CloseFrame { code, reason }: CloseFrame) -> Step {
        self.outbox.clear();
        let frame = CloseFrame { code, reason: fitting(reason.as_str()) };
        self.stage = Stage::Closing(Some(frame), sleep(&self.clock, CLOSING_TIME));
        Step::Again
    }

    /// Waits until the peer has heard of it: if a connection ended with something unread, the peer might not.
    fn poll_closing(&mut self, mut frame: Option<CloseFrame>, mut time: Sleep, cx: &mut Context<'_>) -> Poll<Step> {
        // Flushed before: the answer to a ping that is still to go out would go out behind the close frame.
        let is_ready = frame.is_some() && self.line.poll_flush(Side::Reader, cx).is_ready();
        if is_ready && self.line.start_send(Message::Close(frame.take())).is_err() {
            return Poll::Ready(self.end());
        }
        let is_lost = matches!(self.line.poll_flush(Side::Reader, cx), Poll::Ready(Err(_)));
        if is_lost || time.as_mut().poll(cx).is_ready() {
            return Poll::Ready(self.end());
        }
        if frame.is_some() {
            // Nothing is read, since pings would be answered still.
            return self.pending(Stage::Closing(frame, time));
        }
        match self.line.poll_read(cx) {
            Poll::Pending => self.pending(Stage::Closing(frame, time)),
            Poll::Ready(Some(Ok(_))) => {
                self.stage = Stage::Closing(frame, time);
                Poll::Ready(Step::Again)
            }
            Poll::Ready(Some(Err(_)) | None) => Poll::Ready(self.end()),
        }
    }

    fn end(&mut self) -> Step {
        self.stage = Stage::Ended;
        self.line.wake();
        Step::Yield(None)
    }
}
