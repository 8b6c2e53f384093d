use std::{pin::Pin, time::Duration};

use axum::extract::ws::{CloseFrame, Message};
use traffik_core::clock::{AnyClock, Timestamp};

use crate::{
    engine::Limits,
    web::ws::{notice::Notice, over_limit::Action, rejection::MessageRejection},
};

pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(super) type Sleep = Boxed<()>;

/// Ends when `duration` has passed, by the app's clock.
pub(super) fn sleep(clock: &AnyClock, duration: Duration) -> Sleep {
    let clock = clock.clone();
    Box::pin(async move { clock.sleep(duration).await })
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
    pub(super) message: Message,
    /// Until when it can be held, once it was.
    pub(super) held_until: Option<Timestamp>,
}

impl Stage {
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Closing(..) | Self::Ended)
    }
}
