use std::sync::Arc;

use axum::response::{IntoResponse, Response};

use super::{by_format, problem};
use crate::{
    engine::TraffikBuilder,
    limit::Settings,
    request::ErasedResponder,
    web::rejection::{Limited, Unavailable},
};

/// Makes the responses to rejected requests.
///
/// A closure makes the responses to clients that are over a limit:
///
/// ```
/// use axum::http::StatusCode;
/// use traffik::{Limited, MemoryBackend, Traffik};
///
/// let traffik = Traffik::builder(MemoryBackend::new("myapp"))
///     .responder(|limited: &Limited| (StatusCode::TOO_MANY_REQUESTS, format!("slow down: {limited}\n")))
///     .build()?;
/// # Ok::<(), traffik::ConfigError>(())
/// ```
///
/// The closure receives the requests of all clients: of browsers, of programs, and of gRPC. It finds the method, the URI and the
/// headers in [`Limited::request`], and what the client accepts in [`Limited::format`]. It can leave the rest to
/// [`DefaultResponder`]:
///
/// ```
/// use axum::response::{IntoResponse, Redirect};
/// use traffik::{Limited, MemoryBackend, Responder, Traffik, web::{DefaultResponder, ResponseFormat}};
///
/// fn to_pricing(limited: &Limited) -> axum::response::Response {
///     let is_report = limited.request().is_some_and(|request| request.uri().path().starts_with("/reports"));
///     match limited.format() {
///         ResponseFormat::Html if is_report => Redirect::to("/pricing").into_response(),
///         _ => DefaultResponder.limited(limited),
///     }
/// }
///
/// let traffik = Traffik::builder(MemoryBackend::new("myapp")).responder(to_pricing).build()?;
/// # Ok::<(), traffik::ConfigError>(())
/// ```
///
/// `Retry-After`, `Cache-Control: no-store` and the RateLimit fields are added to the response if they are absent. A
/// `Cache-Control` other than `no-store`, `private` or `no-cache` is replaced, because a cache would serve the refusal
/// to clients that are within their limits.
pub trait Responder: Send + Sync + 'static {
    /// Returns the response to a client that is over a limit.
    fn limited(&self, rejection: &Limited) -> Response;

    /// Returns the response when the backend gave no answer. Defaults to that of [`DefaultResponder`].
    fn unavailable(&self, rejection: &Unavailable) -> Response {
        by_format::unavailable(rejection)
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

/// A responder as settings keep it.
type Shared = Arc<dyn Responder>;

fn erased(responder: impl Responder) -> ErasedResponder {
    let shared: Shared = Arc::new(responder);
    ErasedResponder(Arc::new(shared))
}

/// Returns the first of these responders, or the default one.
pub(super) fn first_of<'a>(responders: impl IntoIterator<Item = Option<&'a ErasedResponder>>) -> &'a dyn Responder {
    let mut responders = responders.into_iter().flatten();
    let shared = responders.find_map(|ErasedResponder(responder)| responder.downcast_ref::<Shared>());
    shared.map_or(&DefaultResponder, |responder| &**responder)
}

impl Settings {
    /// Sets the response for requests that this throttle rejects. For a tuple, the throttle with the longest wait decides; if
    /// the backend did not answer, the first throttle that has a responder.
    pub fn responder(mut self, responder: impl Responder) -> Self {
        self.request.responder = Some(erased(responder));
        self
    }
}

impl TraffikBuilder {
    /// Sets the response for rejected requests. Defaults to [`DefaultResponder`].
    pub fn responder(mut self, responder: impl Responder) -> Self {
        self.request.throttles.responses.responder = Some(erased(responder));
        self
    }
}

/// The default [`Responder`], which responds by what the client accepts.
///
/// | request | response |
/// |---|---|
/// | the content type begins with `application/grpc` | status 200 with `grpc-status` 8 (`RESOURCE_EXHAUSTED`), or 14 (`UNAVAILABLE`) in place of a 503; trailers only |
/// | `Accept` prefers `text/html` over JSON, as browsers do | a small page, without external resources |
/// | any other | [`ProblemDetails`] |
///
/// A responder can leave requests to it: see [`ResponseFormat`](crate::web::ResponseFormat).
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultResponder;

impl Responder for DefaultResponder {
    fn limited(&self, rejection: &Limited) -> Response {
        by_format::limited(rejection)
    }
}

/// Responds with problem details (RFC 9457), of the types that the draft of the RateLimit fields registers, whatever the client
/// accepts.
///
/// ```json
/// {"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Too Many Requests","status":429,
///  "detail":"\"search:burst\" allows 5 requests per minute; try again in 12s","violated-policies":["search:burst"]}
/// ```
///
/// The type of a 503 ends with `temporary-reduced-capacity`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemDetails;

impl Responder for ProblemDetails {
    fn limited(&self, rejection: &Limited) -> Response {
        problem::limited(rejection)
    }

    fn unavailable(&self, rejection: &Unavailable) -> Response {
        problem::unavailable(rejection)
    }
}
