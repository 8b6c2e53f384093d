use std::{error::Error as StdError, sync::Arc, time::Duration};

use axum::{extract::ws::Message, http::StatusCode};
use thiserror::Error;
use traffik_core::{backend::BackendError, clock::Timestamp};

use crate::{
    engine::{Error, Limit, Limits},
    limit::ConfigError,
    web::ThrottleRejection,
};

/// Why a message is not admitted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MessageRejection {
    /// A limit has no room. If it is a limit of the connection, those of the client were not checked.
    #[error("too many messages: {} has no room", .0.tightest().uid())]
    Limited(Limits),
    /// The backend gave no answer, so the limits could not be checked. The connection goes on.
    #[error("the limits of this message cannot be checked at present")]
    #[non_exhaustive]
    Unavailable {
        /// Why the backend gave none.
        #[source]
        error: Arc<BackendError>,
        /// When to try again. Defaults to one second; a function in [`on_error`](crate::on_error) can set another time.
        retry_after: Duration,
    },
    /// The backend gave no answer, and [`on_error`](crate::on_error) raises an error then.
    #[error("the limits of this message cannot be checked: {0}")]
    Raised(#[source] Box<dyn StdError + Send + Sync>),
    /// A function of a throttle, which is evaluated again for messages, rejects the request of the connection.
    #[error(transparent)]
    Rejected(Arc<ThrottleRejection>),
    /// The throttles cannot be one decision, or a setting of the messages is out of its range.
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

    /// Returns how long until the same message would be admitted, if the client sends no other until then.
    ///
    /// Returns `None` if the message costs more than a limit can hold.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limited(limits) => retry_after(limits),
            Self::Unavailable { retry_after, .. } => Some(*retry_after),
            Self::Raised(_) | Self::Rejected(_) | Self::Misconfigured(_) => Some(Duration::from_secs(1)),
        }
    }

    /// Returns the status of the same rejection of a request.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Limited(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Rejected(rejection) => rejection.status(),
            Self::Raised(_) | Self::Misconfigured(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Returns the text of [`notification`](Self::notification).
    #[must_use]
    pub fn body_text(&self) -> String {
        self.notification().into_text().map(|text| text.to_string()).unwrap_or_default()
    }

    /// Returns the message that informs the client: the text
    /// `{"type":"rate_limit","error":"Too many messages","retry_after":1}`.
    ///
    /// `retry_after` is in whole seconds, rounded up, and at least 1. It is absent if the message can never be admitted; then
    /// `error` says so. If the limits could not be checked, `error` is `"Limits cannot be checked"`.
    #[must_use]
    pub fn notification(&self) -> Message {
        self.notice(Timestamp::UNIX_EPOCH).message(Timestamp::UNIX_EPOCH)
    }

    pub(super) fn notice(&self, now: Timestamp) -> Notice {
        let retry_after = self.retry_after();
        let error = match self {
            Self::Limited(_) if retry_after.is_none() => "The message costs more than its limit allows",
            Self::Limited(_) => "Too many messages",
            Self::Unavailable { .. } | Self::Raised(_) | Self::Rejected(_) | Self::Misconfigured(_) => {
                "Limits cannot be checked"
            }
        };
        Notice::Rejected { error, retry_at: retry_after.map(|wait| now.saturating_add(wait)) }
    }
}

pub(super) fn retry_after(limits: &Limits) -> Option<Duration> {
    let refused = limits.iter().filter(|limit| !limit.is_admitted());
    refused.map(Limit::retry_after).try_fold(Duration::ZERO, |longest, wait| Some(longest.max(wait?)))
}

/// The notice to the client about a message that was not admitted.
pub(super) enum Notice {
    Rejected { error: &'static str, retry_at: Option<Timestamp> },
    Custom(Message),
}

impl Notice {
    pub(super) fn message(self, now: Timestamp) -> Message {
        let (error, retry_at) = match self {
            Self::Rejected { error, retry_at } => (error, retry_at),
            Self::Custom(message) => return message,
        };
        let seconds = retry_at.map(|then| crate::fields::whole_seconds(then.saturating_since(now)).max(1));
        let retry_after = seconds.map_or_else(String::new, |seconds| format!(r#","retry_after":{seconds}"#));
        Message::Text(format!(r#"{{"type":"rate_limit","error":"{error}"{retry_after}}}"#).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notice_says_whole_seconds() {
        let text = |micros: Option<u64>| {
            let notice = Notice::Rejected { error: "Too many messages", retry_at: micros.map(Timestamp::from_micros) };
            notice.message(Timestamp::UNIX_EPOCH).into_text().unwrap().to_string()
        };
        let too_many =
            |seconds: u64| format!(r#"{{"type":"rate_limit","error":"Too many messages","retry_after":{seconds}}}"#);
        assert_eq!(text(Some(0)), too_many(1));
        assert_eq!(text(Some(1_000_000)), too_many(1));
        assert_eq!(text(Some(1_000_001)), too_many(2));
        assert_eq!(text(None), r#"{"type":"rate_limit","error":"Too many messages"}"#);
    }
}
