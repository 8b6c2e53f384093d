//! What happens to a message over the limit.
//!
//! [`ThrottledSocket::over_limit`](super::ThrottledSocket::over_limit) sets it:
//!
//! | | |
//! |---|---|
//! | [`Notify`] | skips the message and notifies the client. This is the default |
//! | [`Skip`] | skips the message without an answer |
//! | [`Close`] | does the same as `Notify` a number of times, and then closes the connection |
//! | [`Wait`] | holds the message until there is room, up to a maximum time |
//! | a function | returns an [`Action`]: see [`OverLimit`] |

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, close_code};
use traffik_core::OutOfRange;

use super::rejection;
use crate::engine::Limits;

/// Skips the message and notifies the client with
/// `{"type":"rate_limit","error":"Too many messages","retry_after":1}`.
#[derive(Clone, Copy, Debug)]
pub struct Notify;

/// Skips the message without an answer.
#[derive(Clone, Copy, Debug)]
pub struct Skip;

/// What happens to a message over the limit: any of the types that this [module](self) lists.
///
/// An async function receives each message over the limit and returns an [`Action`]. The socket reads on when it has returned.
///
/// ```
/// use axum::extract::ws::{CloseFrame, close_code};
/// use traffik::web::ws::{ThrottledSocket, over_limit::{Action, Violation}};
///
/// /// Admits paying users. Warns others ten times, then closes.
/// async fn by_plan(violation: Violation) -> Action {
///     match violation.count() {
///         _ if is_paying().await => Action::Admit,
///         1..=10 => Action::Notify,
///         _ => Action::Close(CloseFrame { code: close_code::POLICY, reason: "slow down".into() }),
///     }
/// }
/// # async fn is_paying() -> bool { true }
///
/// fn throttled(socket: ThrottledSocket) -> ThrottledSocket {
///     socket.over_limit(by_plan)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct OverLimit(pub(super) Kind);

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Notify,
    Skip,
    Close(Close),
    Wait(Wait),
    Function(Function),
}

impl OverLimit {
    pub(super) fn check(&self) -> Result<(), OutOfRange> {
        if let Kind::Close(close) = &self.0 { close.check() } else { Ok(()) }
    }
}

impl Default for OverLimit {
    fn default() -> Self {
        Notify.into()
    }
}

/// Implements the conversions of the types in this module.
macro_rules! over_limit {
    ($($name:ident($value:pat) => $kind:expr;)+) => {
        $(impl From<$name> for OverLimit {
            fn from($value: $name) -> Self {
                Self($kind)
            }
        })+
    };
}

over_limit! {
    Notify(_) => Kind::Notify;
    Skip(_) => Kind::Skip;
    Close(close) => Kind::Close(close);
    Wait(wait) => Kind::Wait(wait);
}

impl<F, Fut> From<F> for OverLimit
where
    F: Fn(Violation) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Action> + Send + 'static,
{
    fn from(function: F) -> Self {
        Self(Kind::Function(Function(Arc::new(move |violation| Box::pin(function(violation))))))
    }
}

/// Closes the connection with the code 1008 and a reason after a number of messages over the limit. Before that it does the
/// same as [`Notify`].
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

    fn check(&self) -> Result<(), OutOfRange> {
        OutOfRange::check("Close::after", self.after, 1..=u64::MAX)
    }

    /// Returns the action for the `violations`th message over the limit.
    pub(super) fn action(&self, violations: u64) -> Action {
        if violations < self.after {
            return Action::Notify;
        }
        Action::Close(CloseFrame { code: close_code::POLICY, reason: self.reason.clone() })
    }
}

/// Cuts a reason to the size of a close frame.
pub(super) fn fitting(reason: &str) -> Utf8Bytes {
    const ROOM: usize = 123;
    let end = (0..=ROOM.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
    end.and_then(|end| reason.get(..end)).unwrap_or_default().into()
}

/// Holds the message until there is room, and then passes it on. The messages of all connections of a client are passed on in the
/// order in which they came: see [`Limiter::wait`](crate::Limiter::wait).
///
/// While it holds a message, the socket answers pings and notices the end of the connection. Once it has read another message,
/// it reads nothing more until the turn of the held one, so TCP slows the client down. A message that would wait too long, or
/// that can never be admitted, is treated as with [`Notify`].
///
/// Events and metrics have a held message once it is decided. It is no refusal, and none for a penalty, if it is passed on or
/// if the client closes the connection first.
///
/// ```
/// use std::time::Duration;
/// use traffik::web::ws::over_limit::Wait;
///
/// let wait = Wait::up_to(Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Wait {
    pub(super) longest: Duration,
}

impl Wait {
    /// Sets the maximum time, by the app's clock.
    pub const fn up_to(longest: Duration) -> Self {
        Self { longest }
    }
}

/// A message over the limit, for a function: see [`OverLimit`].
#[derive(Clone, Debug)]
pub struct Violation {
    pub(super) limits: Limits,
    pub(super) message: Message,
    pub(super) count: u64,
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
pub(super) struct Function(pub(super) Arc<dyn Fn(Violation) -> Answer + Send + Sync>);

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function(..)")
    }
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
