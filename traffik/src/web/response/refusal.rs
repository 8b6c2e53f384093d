//! The responses to rejected requests: the responder's part, and the part that every such response needs.

use std::time::Duration;

use axum::{
    http::{
        HeaderMap, HeaderValue,
        header::{Entry, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};

use smallvec::SmallVec;
use traffik_core::clock::AnyClock;

use super::{
    fields::{AddedFields, add_fields},
    keep_from_sharing,
    responder::{first_of, plain_problem},
};
use crate::{
    engine::{Limit, Limits},
    fields::whole_seconds,
    web::{
        RequestContext,
        ledger::Ledger,
        rejection::{Denied, Limited, Raised, Unavailable, Unwanted},
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
        let limit = self.limits().tightest();
        let request = &limit.definition().settings.request;
        let responder = first_of([request.responder.as_ref(), request.responses.responder.as_ref()]);
        let response = responder.limited(&self);
        if let Some(context) = self.context() {
            return turn_away(response, self.retry_after(), context);
        }
        let mut response = refused(response, self.retry_after());
        let clock = limit.store().map(|store| store.clock());
        let x_ratelimit = clock.filter(|_| request.responses.x_ratelimit).map(AnyClock::wall_clock);
        let shown: SmallVec<[&Limit; 4]> = self.limits().iter().filter(|limit| limit.is_counted()).collect();
        let fields = add_fields(response.headers_mut(), &shown, x_ratelimit);
        let unrecorded = Unrecorded { limits: self.limits().snapshot(), fields };
        response.extensions_mut().insert(Refused(Some(Box::new(unrecorded))));
        response
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let mut response = plain_problem(self.status(), &self.body_text());
        response.extensions_mut().insert(Unwanted);
        response
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        let context = self.context();
        let own = self.definitions().iter().map(|definition| definition.settings.request.responder.as_ref());
        let app = &context.traffik().requests().throttles.responses;
        let responder = first_of(own.chain([app.responder.as_ref()]));
        turn_away(responder.unavailable(&self), Some(self.retry_after()), context)
    }
}

/// The response carries the error, which a middleware may report.
impl IntoResponse for Raised {
    fn into_response(self) -> Response {
        let response = (self.status(), self.body_text()).into_response();
        let mut response = turn_away(response, None, self.context());
        response.extensions_mut().insert(self);
        response
    }
}

fn turn_away(response: Response, retry_after: Option<Duration>, context: &RequestContext) -> Response {
    let mut response = refused(response, retry_after);
    let headers = response.headers_mut();
    // A layer that waits for the response adds them once all limits of the request are known.
    if !context.ledger().is_watched() {
        let traffik = context.traffik();
        let x_ratelimit = traffik.requests().throttles.responses.x_ratelimit.then(|| traffik.clock().wall_clock());
        context.ledger().show(|limits| {
            add_fields(headers, limits, x_ratelimit);
        });
    }
    response
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
