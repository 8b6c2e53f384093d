//! The reasons why a request is rejected.

mod declined;
mod denied;
mod limited;
mod misconfigured;
mod own_response;
mod raised;
mod request;
mod unavailable;
mod unidentified;
mod words;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use thiserror::Error;

pub(super) use self::request::has_responder;
#[cfg(any(feature = "aide", feature = "utoipa"))]
pub(super) use self::words::InWords;
pub use self::{
    declined::Declined, denied::Denied, limited::Limited, misconfigured::Misconfigured, raised::Raised,
    unavailable::Unavailable, unidentified::Unidentified,
};

use crate::engine::Refusal;

/// Marks a response that rejects the request without being a refusal: nothing is refunded, and the body is drained.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unwanted;

/// The reason why [`Throttled`](super::Throttled) rejects a request.
///
/// A handler that takes `Result<Throttled<T>, ThrottleRejection>` receives it, and can respond with less:
///
/// ```
/// use traffik::{DefaultIdentity, Rate, Throttle, ThrottleRejection, Throttled};
///
/// struct Search;
///
/// impl Throttle for Search {
///     const UID: &'static str = "api:search";
///     const RATE: Rate = Rate::literal("100/min");
///     type Identity = DefaultIdentity;
/// }
///
/// async fn search(permit: Result<Throttled<Search>, ThrottleRejection>) -> Result<&'static str, ThrottleRejection> {
///     match permit {
///         Ok(_) => Ok("everything there is"),
///         Err(ThrottleRejection::Limited(_)) => Ok("what is in the cache"),
///         Err(other) => Err(other),
///     }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(search));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ThrottleRejection {
    /// The client is over a limit: 429.
    #[error(transparent)]
    Limited(#[from] Limited),
    /// The backend gave no answer: 503.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The backend gave no answer, and `on_error` raises an error then: 500.
    #[error(transparent)]
    Raised(#[from] Raised),
    /// The app is set up wrong: 500.
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
    /// The client is in a denied network: 403.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// An identity rejected the request, with a response of its own.
    #[error(transparent)]
    Unidentified(#[from] Unidentified),
    /// A function for the cost or the rate rejected the request, with a response of its own.
    #[error(transparent)]
    Declined(#[from] Declined),
}

/// Makes the rejection of a request from a refusal of [`ClientLimiter::check`](crate::ClientLimiter::check). It is the same
/// response as that of a throttle: see [`Limits::or_refuse`](crate::Limits::or_refuse).
impl From<Refusal> for ThrottleRejection {
    fn from(refusal: Refusal) -> Self {
        Self::Limited(refusal.into())
    }
}

/// Implements the methods that axum's rejections have.
macro_rules! rejections {
    ($($rejection:ident: $status:expr, $text:expr;)+) => {
        $(impl $rejection {
            /// Returns the status of the response. For a refusal, that of the default [`Responder`](crate::Responder).
            #[must_use]
            pub fn status(&self) -> StatusCode {
                let status: fn(&Self) -> StatusCode = $status;
                status(self)
            }

            /// Returns the reason as a text that a client may see. The response may have another body.
            #[must_use]
            pub fn body_text(&self) -> String {
                let text: fn(&Self) -> String = $text;
                text(self)
            }
        })+

        impl ThrottleRejection {
            /// Returns the status of the response. For a refusal, that of the default [`Responder`](crate::Responder).
            #[must_use]
            pub fn status(&self) -> StatusCode {
                match self {
                    $(Self::$rejection(rejection) => rejection.status(),)+
                }
            }

            /// Returns the reason as a text that a client may see. The response may have another body.
            #[must_use]
            pub fn body_text(&self) -> String {
                match self {
                    $(Self::$rejection(rejection) => rejection.body_text(),)+
                }
            }
        }

        impl IntoResponse for ThrottleRejection {
            fn into_response(self) -> Response {
                match self {
                    $(Self::$rejection(rejection) => rejection.into_response(),)+
                }
            }
        }
    };
}

rejections! {
    Limited: Self::refused_with, Self::to_string;
    Unavailable: |_| StatusCode::SERVICE_UNAVAILABLE, Self::to_string;
    Raised: |_| StatusCode::INTERNAL_SERVER_ERROR, |_| "the limits of this request cannot be checked".to_owned();
    Misconfigured: |_| StatusCode::INTERNAL_SERVER_ERROR, Self::to_string;
    Denied: |_| StatusCode::FORBIDDEN, Self::to_string;
    Unidentified: |this| this.0.status(), Self::to_string;
    Declined: |this| this.0.status(), Self::to_string;
}
