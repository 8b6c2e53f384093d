use std::time::Duration;

use axum::extract::ws::Message;

use super::rejection::MessageRejection;

/// What a client is told of a message that was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notification {
    TooMany,
    /// It costs more than its limit can hold.
    Never,
    Unchecked,
}

impl Notification {
    pub(super) fn of(rejection: &MessageRejection) -> Self {
        match rejection {
            MessageRejection::Limited(_) if rejection.retry_after().is_none() => Self::Never,
            MessageRejection::Limited(_) => Self::TooMany,
            MessageRejection::Unavailable { .. } | MessageRejection::Raised(_) | MessageRejection::Misconfigured(_) => {
                Self::Unchecked
            }
        }
    }

    pub(super) fn message(self, retry_after: Option<Duration>) -> Message {
        let error = match self {
            Self::TooMany => "Too many messages",
            Self::Never => "The message costs more than its limit allows",
            Self::Unchecked => "Limits cannot be checked",
        };
        let retry_after =
            retry_after.map(|wait| format!(r#","retry_after":{}"#, crate::fields::whole_seconds(wait).max(1)));
        let retry_after = retry_after.unwrap_or_default();
        Message::Text(format!(r#"{{"type":"rate_limit","error":"{error}"{retry_after}}}"#).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_over_the_wire() {
        let text = |notification: Notification, micros: Option<u64>| {
            notification.message(micros.map(Duration::from_micros)).into_text().unwrap().to_string()
        };
        let too_many =
            |seconds: u64| format!(r#"{{"type":"rate_limit","error":"Too many messages","retry_after":{seconds}}}"#);
        assert_eq!(text(Notification::TooMany, Some(0)), too_many(1));
        assert_eq!(text(Notification::TooMany, Some(1_000_000)), too_many(1));
        assert_eq!(text(Notification::TooMany, Some(1_000_001)), too_many(2));
        assert_eq!(
            text(Notification::Never, None),
            r#"{"type":"rate_limit","error":"The message costs more than its limit allows"}"#
        );
        assert_eq!(
            text(Notification::Unchecked, Some(1)),
            r#"{"type":"rate_limit","error":"Limits cannot be checked","retry_after":1}"#
        );
    }
}
