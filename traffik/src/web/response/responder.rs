use std::{fmt, sync::Arc};

use axum::response::{IntoResponse, Response};

use super::ProblemDetails;
use crate::web::rejection::{Limited, Unavailable};

/// Makes the responses that turn a request away.
///
/// A closure will do for those to a client that is over its limit:
///
/// ```
/// use axum::http::StatusCode;
/// use traffik::{Limited, Traffik, backend::MemoryBackend};
///
/// let traffik = Traffik::builder(MemoryBackend::new("myapp"))
///     .responder(|limited: &Limited| (StatusCode::TOO_MANY_REQUESTS, format!("slow down: {limited}\n")))
///     .build()?;
/// # Ok::<(), traffik::ConfigError>(())
/// ```
///
/// `Retry-After`, `Cache-Control: no-store` and the RateLimit fields are added to what it makes, unless they are there. A
/// `Cache-Control` that is neither `no-store` nor `private` nor `no-cache` is replaced: a cache would turn away clients that
/// are within their limits.
pub trait Responder: Send + Sync + 'static {
    /// The response to a client that is over a limit.
    fn limited(&self, rejection: &Limited) -> Response;

    /// The response when the backend gave no answer: [`ProblemDetails`], unless told otherwise.
    fn unavailable(&self, rejection: &Unavailable) -> Response {
        ProblemDetails.unavailable(rejection)
    }
}

impl<F, R> Responder for F
where
    F: Fn(&Limited) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    fn limited(&self, rejection: &Limited) -> Response {
        self(rejection).into_response()
    }
}

/// Any [`Responder`], shared.
#[derive(Clone)]
pub(in crate::web) struct AnyResponder(Arc<dyn Responder>);

impl AnyResponder {
    pub(in crate::web) fn new(responder: impl Responder) -> Self {
        Self(Arc::new(responder))
    }
}

impl std::ops::Deref for AnyResponder {
    type Target = dyn Responder;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl Default for AnyResponder {
    fn default() -> Self {
        Self::new(ProblemDetails)
    }
}

impl fmt::Debug for AnyResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder(..)")
    }
}
