use axum::extract::ws::{CloseFrame, Utf8Bytes, close_code};
use traffik_core::OutOfRange;

use super::Action;

/// Closes the connection with the code 1008 and a reason after a number of messages over the limit. Before that it does the
/// same as [`Notify`](super::Notify).
///
/// ```
/// use traffik::web::ws::over_limit::Close;
///
/// let close = Close::after(3).reason("slow down");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Close {
    after: u64,
    reason: Utf8Bytes,
}

impl Close {
    /// Closes with the `violations`th message over the limit since the connection was opened, which is at least 1. Messages
    /// during an outage of the backend do not count.
    ///
    /// With 0, the socket yields a [`MessageRejection::Misconfigured`](crate::web::ws::MessageRejection) for each message.
    pub const fn after(violations: u64) -> Self {
        Self { after: violations, reason: Utf8Bytes::from_static("Too many messages") }
    }

    /// Sets the reason in the close frame. It is cut after 123 bytes. Defaults to `Too many messages`.
    pub fn reason(self, reason: impl Into<String>) -> Self {
        Self { reason: reason.into().into(), ..self }
    }

    pub(super) fn check(&self) -> Result<(), OutOfRange> {
        OutOfRange::check("Close::after", self.after, 1..=u64::MAX)
    }

    /// Returns the action for the `violations`th message over the limit.
    pub(in crate::web::ws) fn action(&self, violations: u64) -> Action {
        if violations < self.after {
            return Action::Notify;
        }
        Action::Close(CloseFrame { code: close_code::POLICY, reason: self.reason.clone() })
    }
}

/// Cuts a reason to the size of a close frame.
pub(in crate::web::ws) fn fitting(reason: &str) -> Utf8Bytes {
    const ROOM: usize = 123;
    let end = (0..=ROOM.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
    end.and_then(|end| reason.get(..end)).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_cut_where_a_character_ends() {
        assert_eq!(fitting("slow down"), "slow down");
        assert_eq!(fitting(&"a".repeat(200)).len(), 123);
        assert_eq!(fitting(&"ü".repeat(200)).len(), 122);
    }

    #[test]
    fn close_is_due_with_the_message_that_it_says() {
        let is_due = |after, violations| matches!(Close::after(after).action(violations), Action::Close(_));
        assert_eq!([1, 2, 3, 4].map(|nth| is_due(3, nth)), [false, false, true, true]);
    }
}
