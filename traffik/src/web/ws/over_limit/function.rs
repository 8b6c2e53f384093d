use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message};

use crate::{engine::Limits, web::ws::rejection};

/// A message over the limit, as a function of one's own is told of it: see [`OverLimit`](super::OverLimit).
#[derive(Clone, Debug)]
pub struct Violation {
    limits: Limits,
    message: Message,
    count: u64,
}

/// What becomes of a message over the limit.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// It is skipped, and the client told so.
    Notify,
    /// It is skipped, and the client told this.
    Reply(Message),
    /// It is skipped without a word.
    Skip,
    /// It is passed on all the same, and counted nowhere.
    Admit,
    /// The connection is closed. A reason that is longer than 123 bytes is cut.
    Close(CloseFrame),
}

impl Violation {
    pub(in crate::web::ws) fn new(limits: Limits, message: Message, count: u64) -> Self {
        Self { limits, message, count }
    }

    /// How the client stands.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// How many messages of this connection were over the limit, this one included.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How long until it would be admitted. Nothing, if it never will be, because it costs more than a limit can hold.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        rejection::retry_after(&self.limits)
    }
}

pub(in crate::web::ws) type Answer = Pin<Box<dyn Future<Output = Action> + Send>>;

/// A function of one's own, shared.
#[derive(Clone)]
pub(in crate::web::ws) struct Function(Arc<dyn Fn(Violation) -> Answer + Send + Sync>);

impl Function {
    pub(super) fn new<F, Fut>(function: F) -> Self
    where
        F: Fn(Violation) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Action> + Send + 'static,
    {
        Self(Arc::new(move |violation| Box::pin(function(violation))))
    }

    pub(in crate::web::ws) fn ask(&self, violation: Violation) -> Answer {
        (self.0)(violation)
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function(..)")
    }
}
