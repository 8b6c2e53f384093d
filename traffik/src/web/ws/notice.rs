use axum::extract::ws::Message;
use traffik_core::clock::Timestamp;

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
