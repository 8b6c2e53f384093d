use std::{pin::Pin, time::Duration};

use axum::extract::ws::{CloseFrame, Message};
use traffik_core::clock::{AnyClock, Timestamp};

use super::outbox::Notice;
use crate::{
    engine::Limits,
    web::ws::{over_limit::Answer, rejection::MessageRejection},
};

pub(super) type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ends when so much time has passed, by the app's clock.
pub(super) fn sleep(clock: &AnyClock, duration: Duration) -> Sleep {
    let clock = clock.clone();
    Box::pin(async move { clock.sleep(duration).await })
}

pub(super) type Decision = Pin<Box<dyn Future<Output = Result<Limits, MessageRejection>> + Send>>;

/// How far the reader is.
#[derive(Default)]
pub(super) enum Stage {
    /// The next message is awaited.
    #[default]
    Reading,
    /// A backend decides about a message.
    Deciding(Case, Decision),
    /// A function of the user's does, about one over the limit.
    Asking(Case, Notice, Answer),
    /// A message is held for a while.
    Holding(Case, Sleep, Then),
    /// The connection is being closed: the frame, unless it is handed over, and how long it takes at most.
    Closing(Option<CloseFrame>, Sleep),
    /// Nothing comes any more.
    Ended,
}

/// A message that is not passed on yet.
pub(super) struct Case {
    pub(super) message: Message,
    /// How long it can be held, once it was.
    pub(super) held_until: Option<Timestamp>,
}

/// What comes after a message was held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// It is passed on: it was admitted, with a delay.
    PassOn,
    /// Its limits are asked again.
    AskAgain,
}

impl Stage {
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Closing(..) | Self::Ended)
    }
}
