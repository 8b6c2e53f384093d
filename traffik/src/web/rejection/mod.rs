//! Why a request does not get through.

mod declined;
mod limited;
mod misconfigured;
mod raised;
mod unavailable;
mod unidentified;
mod words;

use axum::response::{IntoResponse, Response};
use thiserror::Error;

pub use self::{
    declined::Declined, limited::Limited, misconfigured::Misconfigured, raised::Raised, unavailable::Unavailable,
    unidentified::Unidentified,
};

/// Marks a response that turns the request away and is no refusal: nothing is given back, and the body is unwanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unwanted;

/// Why [`Throttled`](super::Throttled) rejects a request.
///
/// A handler that takes `Result<Throttled<T>, ThrottleRejection>` gets it, and may do with less:
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
    /// The backend gave no answer, and that is to be seen as an error: 500.
    #[error(transparent)]
    Raised(#[from] Raised),
    /// The app is set up wrong: 500.
    #[error(transparent)]
    Misconfigured(#[from] Misconfigured),
    /// Whoever names the client turned the request away, with a response of its own.
    #[error(transparent)]
    Unidentified(#[from] Unidentified),
    /// What gives the cost or the rate turned the request away, with a response of its own.
    #[error(transparent)]
    Declined(#[from] Declined),
}

impl IntoResponse for ThrottleRejection {
    fn into_response(self) -> Response {
        match self {
            Self::Limited(rejection) => rejection.into_response(),
            Self::Unavailable(rejection) => rejection.into_response(),
            Self::Raised(rejection) => rejection.into_response(),
            Self::Misconfigured(rejection) => rejection.into_response(),
            Self::Unidentified(rejection) => rejection.into_response(),
            Self::Declined(rejection) => rejection.into_response(),
        }
    }
}
