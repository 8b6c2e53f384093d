//! The reasons why a request is rejected.

mod limited;
mod misconfigured;
mod unavailable;

use std::{error::Error, fmt, sync::Arc};

use axum::{
    Extension,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use sync_wrapper::SyncWrapper;
use thiserror::Error;

use super::{RequestContext, request_head::RequestHead};
use crate::{engine::Refusal, limit::Definition};

#[cfg(any(feature = "aide", feature = "utoipa"))]
pub(super) use self::limited::InWords;
pub(super) use self::misconfigured::Cause;
pub use self::{limited::Limited, misconfigured::Misconfigured, unavailable::Unavailable};

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

impl ThrottleRejection {
    /// Returns the rejection of this request, for one that was made without it, by
    /// [`Limits::or_refuse`](crate::Limits::or_refuse) or of a [`Refusal`]: the default response is in a format
    /// that the request accepts, and a [`Responder`](crate::Responder) sees the request.
    ///
    /// ```
    /// use axum::http::request::Parts;
    /// use traffik::{Limits, ThrottleRejection};
    ///
    /// fn refuse(limits: Limits, parts: &Parts) -> Result<Limits, ThrottleRejection> {
    ///     limits.or_refuse().map_err(|refusal| refusal.for_request(parts))
    /// }
    /// ```
    #[cold]
    #[must_use]
    pub fn for_request(self, parts: &Parts) -> Self {
        let has_responder = match &self {
            Self::Limited(limited) => limited.limits().iter().any(|limit| has_responder(limit.definition())),
            Self::Unavailable(unavailable) => unavailable.0.definitions.iter().any(|of| has_responder(of)),
            _ => false,
        };
        self.with_head(RequestHead::of(parts, has_responder))
    }

    /// Sets what is known of the request that is rejected.
    #[cold]
    pub(super) fn with_head(mut self, head: RequestHead) -> Self {
        let own = match &mut self {
            Self::Limited(limited) => Some(&mut limited.0.head),
            Self::Unavailable(unavailable) => Some(&mut unavailable.0.head),
            // A rejection that was cloned stays as it is.
            Self::Raised(raised) => Arc::get_mut(&mut raised.0).map(|inner| &mut inner.head),
            Self::Misconfigured(misconfigured) => Some(&mut misconfigured.0.head),
            Self::Denied(denied) => Some(&mut *denied.0),
            Self::Unidentified(_) | Self::Declined(_) => None,
        };
        if let Some(own) = own {
            *own = head;
        }
        self
    }
}

/// Returns whether the throttle or its app has a responder.
pub(super) fn has_responder(definition: &Definition) -> bool {
    let request = &definition.settings.request;
    request.responder.is_some() || request.responses.responder.is_some()
}

/// The client is in a network that the throttle or the app [denies](crate::Settings::deny_networks).
///
/// As a response it is a 403 with problem details, or the same in another format. It names neither the network nor the address.
#[derive(Clone, Debug, Error)]
#[error("requests from this network are not allowed")]
pub struct Denied(pub(super) Box<RequestHead>);

impl Denied {
    pub(super) fn new() -> Self {
        Self(Box::default())
    }
}

/// The backend gave no answer, and [`on_error`](crate::on_error) raises an error then.
///
/// As a response it is a 500 without details. The error is in the extensions of the response, for a middleware that
/// reports errors:
///
/// ```
/// use axum::{extract::Request, middleware::Next, response::Response};
/// use traffik::web::Raised;
///
/// async fn report(request: Request, next: Next) -> Response {
///     let response = next.run(request).await;
///     if let Some(raised) = response.extensions().get::<Raised>() {
///         eprintln!("{raised}");
///     }
///     response
/// }
/// # let _ = axum::Router::<()>::new().layer(axum::middleware::from_fn(report));
/// ```
#[derive(Clone, Debug, Error)]
#[error("the limits of the request cannot be checked: {}", .0.source)]
pub struct Raised(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    source: Box<dyn Error + Send + Sync>,
    pub(super) context: RequestContext,
    pub(super) head: RequestHead,
}

impl Raised {
    pub(super) fn new(source: Box<dyn Error + Send + Sync>, context: RequestContext) -> Self {
        Self(Arc::new(Inner { source, context, head: RequestHead::default() }))
    }

    /// Returns the error of the backend, or of your function.
    #[must_use]
    pub fn error(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0.source
    }
}

/// An identity rejected the request, with a response of its own.
#[derive(Debug, Error)]
#[error("the client of the request could not be identified")]
pub struct Unidentified(OwnResponse);

impl Unidentified {
    pub(super) fn new(response: Response) -> Self {
        Self(OwnResponse::new(response))
    }
}

impl IntoResponse for Unidentified {
    fn into_response(self) -> Response {
        unwanted(self.0)
    }
}

/// The function for the cost or the rate rejected the request, with a response of its own.
#[derive(Debug, Error)]
#[error("a function of the throttle rejected the request")]
pub struct Declined(OwnResponse);

impl Declined {
    pub(super) fn new(response: Response) -> Self {
        Self(OwnResponse::new(response))
    }
}

impl IntoResponse for Declined {
    fn into_response(self) -> Response {
        unwanted(self.0)
    }
}

/// A response that a function or an extractor of the user made.
struct OwnResponse(Box<(StatusCode, SyncWrapper<Response>)>);

impl OwnResponse {
    fn new(response: Response) -> Self {
        Self(Box::new((response.status(), SyncWrapper::new(response))))
    }

    fn status(&self) -> StatusCode {
        self.0.0
    }
}

/// Marks a response that rejects a request. The rest of the body of the request is drained.
fn unwanted(response: OwnResponse) -> Response {
    (Extension(Unwanted), response).into_response()
}

impl IntoResponse for OwnResponse {
    fn into_response(self) -> Response {
        self.0.1.into_inner()
    }
}

impl fmt::Debug for OwnResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}
