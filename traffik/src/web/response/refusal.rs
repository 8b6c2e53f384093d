//! The responses to rejected requests: the responder's part, and the part that every such response needs.

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::{Body, HttpBody},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CONTENT_LENGTH, Entry, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};

use super::{
    bodies::{self, Code, in_format, plain_problem},
    fields::{AddedFields, add_fields},
    keep_from_sharing,
};
use crate::{
    engine::{Limits, TraffikBuilder},
    fields::whole_seconds,
    limit::{Definition, Settings},
    request::ErasedResponder,
    web::{
        RequestContext,
        context::{Ledger, last_of_each},
        rejection::{Denied, Limited, Misconfigured, Raised, Unavailable, Unwanted},
        request_head::RequestHead,
    },
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
        bodies::unavailable(rejection)
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
fn first_of<'a>(responders: impl IntoIterator<Item = Option<&'a ErasedResponder>>) -> &'a dyn Responder {
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
        bodies::limited(rejection)
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
        bodies::limited_problem(rejection)
    }

    fn unavailable(&self, rejection: &Unavailable) -> Response {
        bodies::unavailable_problem(rejection)
    }
}

/// Marks a response that rejects the request: its charges are refunded.
#[derive(Clone, Debug)]
pub(in crate::web) struct Refused(Option<Box<Unrecorded>>);

/// The limits of a refusal that was made without the request, and the fields that show them.
#[derive(Clone, Debug)]
struct Unrecorded {
    limits: Limits,
    fields: AddedFields,
}

impl Refused {
    /// Moves the limits of the refusal from its fields to the ledger, whose layer adds fields for all limits.
    pub(in crate::web) fn record(self, ledger: &Ledger, headers: &mut HeaderMap) {
        if let Some(unrecorded) = self.0 {
            unrecorded.fields.remove(headers);
            ledger.record_others(&unrecorded.limits);
        }
    }
}

impl IntoResponse for Limited {
    fn into_response(self) -> Response {
        let definition = self.limits().tightest().definition();
        let responder = first_of([own(definition), app(definition)]);
        let response = responder.limited(&self);
        if let Some(context) = &self.0.context {
            return turn_away(response, self.retry_after(), context, &self.0.head);
        }
        let mut response = refused(response, self.retry_after());
        let shown = last_of_each(self.limits().iter().filter(|limit| limit.is_shown()));
        let fields = add_fields(response.headers_mut(), &shown, true);
        let unrecorded = Unrecorded { limits: self.limits().snapshot(), fields };
        response.extensions_mut().insert(Refused(Some(Box::new(unrecorded))));
        for_head(response, &self.0.head)
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, text) = (self.status(), self.body_text());
        let json = || plain_problem(status, &text);
        let response = in_format(self.0.format, status, Code::PermissionDenied, &text, json);
        (Extension(Unwanted), for_head(response, &self.0)).into_response()
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        let definitions = || self.0.definitions.iter().map(|definition| &**definition);
        let responder = first_of(definitions().map(own).chain(definitions().map(app)));
        turn_away(responder.unavailable(&self), Some(self.retry_after()), &self.0.context, &self.0.head)
    }
}

/// The response carries the error, which a middleware may report.
impl IntoResponse for Raised {
    fn into_response(self) -> Response {
        let response = internal_error(self.status(), &self.body_text(), &self.0.head);
        let mut response = turn_away(response, None, &self.0.context, &self.0.head);
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Misconfigured {
    fn into_response(self) -> Response {
        let response = internal_error(self.status(), &self.body_text(), &self.0.head);
        (Extension(Unwanted), for_head(response, &self.0.head)).into_response()
    }
}

fn own(definition: &Definition) -> Option<&ErasedResponder> {
    definition.settings.request.responder.as_ref()
}

fn app(definition: &Definition) -> Option<&ErasedResponder> {
    definition.settings.request.responses.responder.as_ref()
}

fn internal_error(status: StatusCode, text: &str, head: &RequestHead) -> Response {
    in_format(head.format, status, Code::Internal, text, || (status, text.to_owned()).into_response())
}

fn turn_away(
    response: Response,
    retry_after: Option<Duration>,
    context: &RequestContext,
    head: &RequestHead,
) -> Response {
    let mut response = refused(response, retry_after);
    let headers = response.headers_mut();
    // A layer that waits for the response adds them once all limits of the request are known.
    if !context.ledger().is_watched() {
        context.ledger().show(|limits| {
            add_fields(headers, limits, true);
        });
    }
    for_head(response, head)
}

/// Marks a response as a refusal, and adds what every refusal needs.
fn refused(mut response: Response, retry_after: Option<Duration>) -> Response {
    let headers = response.headers_mut();
    if let (Entry::Vacant(vacant), Some(wait)) = (headers.entry(RETRY_AFTER), retry_after) {
        vacant.insert(HeaderValue::from(whole_seconds(wait).max(1)));
    }
    keep_from_sharing(headers);
    response.extensions_mut().insert(Refused(None));
    response
}

/// Removes the body of the response to a HEAD request, and keeps its length as a field.
fn for_head(mut response: Response, head: &RequestHead) -> Response {
    if head.is_head {
        let length = response.body().size_hint().exact();
        if let (Entry::Vacant(vacant), Some(length)) = (response.headers_mut().entry(CONTENT_LENGTH), length) {
            vacant.insert(length.into());
        }
        *response.body_mut() = Body::empty();
    }
    response
}
