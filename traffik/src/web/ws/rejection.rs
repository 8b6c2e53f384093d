use std::{error::Error as StdError, sync::Arc, time::Duration};

use axum::extract::ws::Message;
use thiserror::Error;
use traffik_core::backend::BackendError;

use super::notification::Notification;
use crate::{
    engine::{Error, Limit, Limits},
    limit::ConfigError,
};

/// Why a message is not admitted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MessageRejection {
    /// The client is over a limit. Where the limits of a connection had no room, those of its client were not asked.
    #[error("too many messages: {} has no room", .0.tightest().uid())]
    Limited(Limits),
    /// The backend gave no answer, so nobody knows whether the client is over a limit. The connection is as good as before.
    #[error("the limits of this message cannot be checked at present")]
    Unavailable {
        /// Why the backend gave none.
        #[source]
        error: Arc<BackendError>,
        /// When to try again: in a second, unless a function of yours says otherwise.
        retry_after: Duration,
    },
    /// The backend gave no answer, and [`on_error`](crate::on_error) says to raise that.
    #[error("the limits of this message cannot be checked: {0}")]
    Raised(#[source] Box<dyn StdError + Send + Sync>),
    /// The throttles cannot be one decision.
    #[error(transparent)]
    Misconfigured(#[from] ConfigError),
}

impl MessageRejection {
    pub(super) fn new(error: Error) -> Self {
        match error {
            Error::Config(error) => Self::Misconfigured(error),
            Error::Raised(error) => Self::Raised(error),
            Error::Backend(error) => Self::Unavailable { error: Arc::new(error), retry_after: Duration::from_secs(1) },
            Error::Refused { error, retry_after } => Self::Unavailable { error, retry_after },
        }
    }

    /// How long until the same message would be admitted, if the client sends no other until then. Nothing, if it never
    /// will be, because it costs more than a limit can hold.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited(limits) => retry_after(limits),
            Self::Unavailable { retry_after, .. } => Some(*retry_after),
            Self::Raised(_) | Self::Misconfigured(_) => Some(Duration::from_secs(1)),
        }
    }

    /// The message that tells the client: the text `{"type":"rate_limit","error":"Too many messages","retry_after":1}`.
    ///
    /// `retry_after` is in whole seconds, rounded up, and at least 1. It is left out where the message can never be admitted,
    /// and `error` says so then. Where the limits could not be checked it says that: `"Limits cannot be checked"`.
    #[must_use]
    pub fn notification(&self) -> Message {
        Notification::of(self).message(self.retry_after())
    }
}

pub(super) fn retry_after(limits: &Limits) -> Option<Duration> {
    let refused = limits.iter().filter(|limit| !limit.is_admitted());
    refused.map(Limit::retry_after).try_fold(Duration::ZERO, |longest, wait| Some(longest.max(wait?)))
}
