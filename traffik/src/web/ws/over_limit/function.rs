use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message};

use crate::{engine::Limits, web::ws::rejection};

/// A message over the limit, as a function of one's own is told of it: see [`OverLimit`](super::OverLimit).
#[derive(Clone, Debug)]
pub struct Violation {
    pub(in crate::web::ws) limits: Limits,
    pub(in crate::web::ws) message: Message,
    pub(in crate::web::ws) count: u64,
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

type Answer = Pin<Box<dyn Future<Output = Action> + Send>>;

/// A function of the user's, shared.
#[derive(Clone)]
pub(in crate::web::ws) struct Function(pub(in crate::web::ws) Arc<dyn Fn(Violation) -> Answer + Send + Sync>);

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function(..)")
    }
}
