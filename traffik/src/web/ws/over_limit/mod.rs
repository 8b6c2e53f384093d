//! What happens to a message over the limit.
//!
//! It is said by [`ThrottledSocket::over_limit`](super::ThrottledSocket::over_limit):
//!
//! | | |
//! |---|---|
//! | [`Notify`] | the message is skipped, and the client told so. This is so unless told otherwise |
//! | [`Skip`] | the message is skipped without a word |
//! | [`Close`] | so many times it is as with `Notify`, and then the connection is closed |
//! | [`Wait`] | the message is held until there is room, if that does not take too long |
//! | a function | decides as you say: see [`OverLimit`] |

mod close;
mod function;
mod wait;

use std::sync::Arc;

pub(super) use self::close::fitting;
use self::function::Function;
pub use self::{
    close::Close,
    function::{Action, Violation},
    wait::Wait,
};

/// Skips the message and tells the client:
/// `{"type":"rate_limit","error":"Too many messages","retry_after":1}`.
#[derive(Clone, Copy, Debug)]
pub struct Notify;

/// Skips the message without a word.
#[derive(Clone, Copy, Debug)]
pub struct Skip;

/// What happens to a message over the limit: any of what this [module](self) lists.
///
/// A function of your own is told of each message, and says what becomes of it. The reader waits for its answer.
///
/// ```
/// use axum::extract::ws::{CloseFrame, close_code};
/// use traffik::web::ws::{ThrottledSocket, over_limit::{Action, Violation}};
///
/// /// Who pays is let through. Who does not is warned ten times.
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

impl Default for OverLimit {
    fn default() -> Self {
        Notify.into()
    }
}

/// Whatever can be said turns into it.
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
