//! The responses to rejected requests: the responder's part, and the part that every such response needs.

use std::time::Duration;

use axum::{
    Extension,
    body::{Body, HttpBody},
    http::{
        HeaderMap, HeaderValue,
        header::{CONTENT_LENGTH, Entry, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};

use super::{
    by_format::text_in,
    fields::{AddedFields, add_fields},
    grpc::Code,
    keep_from_sharing,
    problem::plain_problem,
    responder::first_of,
};
use crate::{
    engine::Limits,
    fields::whole_seconds,
    limit::Definition,
    request::ErasedResponder,
    web::{
        RequestContext,
        ledger::{Ledger, last_of_each},
        rejection::{Denied, Limited, Misconfigured, Raised, Unavailable, Unwanted},
        request_head::RequestHead,
    },
};

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
        if let Some(context) = self.context() {
            return turn_away(response, self.retry_after(), context, self.head());
        }
        let mut response = refused(response, self.retry_after());
        let shown = last_of_each(self.limits().iter().filter(|limit| limit.is_counted()));
        let fields = add_fields(response.headers_mut(), &shown, true);
        let unrecorded = Unrecorded { limits: self.limits().snapshot(), fields };
        response.extensions_mut().insert(Refused(Some(Box::new(unrecorded))));
        response
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, text) = (self.status(), self.body_text());
        let response = text_in(self.head().format(), status, Code::PermissionDenied, &text);
        let response = response.unwrap_or_else(|| plain_problem(status, &text));
        (Extension(Unwanted), for_head(response, self.head())).into_response()
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        let definitions = || self.definitions().iter().map(|definition| &**definition);
        let responder = first_of(definitions().map(own).chain(definitions().map(app)));
        turn_away(responder.unavailable(&self), Some(self.retry_after()), self.context(), self.head())
    }
}

/// The response carries the error, which a middleware may report.
impl IntoResponse for Raised {
    fn into_response(self) -> Response {
        let text = self.body_text();
        let response = text_in(self.head().format(), self.status(), Code::Internal, &text);
        let response = response.unwrap_or_else(|| (self.status(), text).into_response());
        let mut response = turn_away(response, None, self.context(), self.head());
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Misconfigured {
    fn into_response(self) -> Response {
        let text = self.body_text();
        let response = text_in(self.head().format(), self.status(), Code::Internal, &text);
        let response = response.unwrap_or_else(|| (self.status(), text).into_response());
        (Extension(Unwanted), for_head(response, self.head())).into_response()
    }
}

fn own(definition: &Definition) -> Option<&ErasedResponder> {
    definition.settings.request.responder.as_ref()
}

fn app(definition: &Definition) -> Option<&ErasedResponder> {
    definition.settings.request.responses.responder.as_ref()
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
    if head.is_head() {
        let length = response.body().size_hint().exact();
        if let (Entry::Vacant(vacant), Some(length)) = (response.headers_mut().entry(CONTENT_LENGTH), length) {
            vacant.insert(length.into());
        }
        *response.body_mut() = Body::empty();
    }
    response
}
