use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message};

use crate::{engine::Limits, web::ws::rejection};

/// A message over the limit, for a function: see [`OverLimit`](super::OverLimit).
#[derive(Clone, Debug)]
pub struct Violation {
    pub(in crate::web::ws) limits: Limits,
    pub(in crate::web::ws) message: Message,
    pub(in crate::web::ws) count: u64,
}

/// What a function does about a message over the limit.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// Skips the message and notifies the client.
    Notify,
    /// Skips the message and sends this answer.
    Reply(Message),
    /// Skips the message without an answer.
    Skip,
    /// Admits the message without a charge.
    Admit,
    /// Closes the connection. A reason that is longer than 123 bytes is cut.
    Close(CloseFrame),
}

impl Violation {
    /// Returns the limits of the message.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the message.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Returns how many messages of this connection were over the limit, including this one.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns how long until the message would be admitted, or `None` if it costs more than a limit can hold.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        rejection::retry_after(&self.limits)
    }
}

type Answer = Pin<Box<dyn Future<Output = Action> + Send>>;

/// The user's function.
#[derive(Clone)]
pub(in crate::web::ws) struct Function(pub(in crate::web::ws) Arc<dyn Fn(Violation) -> Answer + Send + Sync>);

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function(..)")
    }
}
