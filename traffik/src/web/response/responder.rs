use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    engine::{Limit, TraffikBuilder},
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
/// `Retry-After`, `Cache-Control: no-store` and the RateLimit fields are added to the response if they are absent. A
/// `Cache-Control` other than `no-store`, `private` or `no-cache` is replaced, because a cache would serve the refusal
/// to clients that are within their limits.
pub trait Responder: Send + Sync + 'static {
    /// Returns the response to a client that is over a limit.
    fn limited(&self, rejection: &Limited) -> Response;

    /// Returns the response when the backend gave no answer. Defaults to [`ProblemDetails`].
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
    shared.map_or(&ProblemDetails, |responder| &**responder)
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
    /// Sets the response for rejected requests. Defaults to [`ProblemDetails`].
    pub fn responder(mut self, responder: impl Responder) -> Self {
        self.request.throttles.responses.responder = Some(erased(responder));
        self
    }
}

/// Responds with problem details (RFC 9457), of the types that the draft of the RateLimit fields registers.
///
/// ```json
/// {"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Too Many Requests","status":429,
///  "detail":"\"search:burst\" allows 5 requests per minute; try again in 12s","violated-policies":["search:burst"]}
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemDetails;

impl Responder for ProblemDetails {
    fn limited(&self, rejection: &Limited) -> Response {
        let uids: Vec<_> = rejection.exceeded().map(Limit::uid).collect();
        problem(
            rejection.status(),
            "https://iana.org/assignments/http-problem-types#quota-exceeded",
            &rejection.body_text(),
            &uids,
        )
    }

    fn unavailable(&self, rejection: &Unavailable) -> Response {
        let uids: Vec<_> = rejection.uids().collect();
        problem(
            rejection.status(),
            "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
            &rejection.body_text(),
            &uids,
        )
    }
}

/// Returns problem details that say no more than their status and `detail`.
pub(in crate::web) fn plain_problem(status: StatusCode, detail: &str) -> Response {
    problem(status, "about:blank", detail, &[])
}

/// Problem details, in an order for human readers.
#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: Option<&'static str>,
    status: u16,
    detail: &'a str,
    #[serde(rename = "violated-policies", skip_serializing_if = "<[_]>::is_empty")]
    violated_policies: &'a [&'a str],
}

fn problem(status: StatusCode, kind: &str, detail: &str, violated_policies: &[&str]) -> Response {
    let body = Problem { kind, title: status.canonical_reason(), status: status.as_u16(), detail, violated_policies };
    // Texts and numbers can always be written as JSON.
    let mut response = Response::new(Body::from(serde_json::to_string(&body).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}
