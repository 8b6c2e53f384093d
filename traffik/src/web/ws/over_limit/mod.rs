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

mod close;
mod function;
mod wait;

use std::sync::Arc;

use traffik_core::OutOfRange;

pub(super) use self::close::fitting;
use self::function::Function;
pub use self::{
    close::Close,
    function::{Action, Violation},
    wait::Wait,
};

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
