//! The responses to rejected requests: the responder's part, and the part that every such response needs.

use std::time::Duration;

use axum::{
    http::{
        HeaderValue,
        header::{Entry, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};

use super::{add_fields, keep_from_sharing, responder::first_of};
use crate::{
    fields::whole_seconds,
    web::{
        RequestContext,
        rejection::{Limited, Raised, Unavailable},
    },
};

/// Marks a response that rejects the request: its charges are refunded.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct Refused;

impl IntoResponse for Limited {
    fn into_response(self) -> Response {
        let context = self.context();
        let own = &self.limits().tightest().definition().settings.request.responder;
        let responder = first_of([own.as_ref(), context.traffik().requests().responder.as_ref()]);
        turn_away(responder.limited(&self), self.retry_after(), context)
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        let context = self.context();
        let own = self.definitions().iter().map(|definition| definition.settings.request.responder.as_ref());
        let responder = first_of(own.chain([context.traffik().requests().responder.as_ref()]));
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

fn turn_away(mut response: Response, retry_after: Option<Duration>, context: &RequestContext) -> Response {
    let headers = response.headers_mut();
    if let (Entry::Vacant(vacant), Some(wait)) = (headers.entry(RETRY_AFTER), retry_after) {
        vacant.insert(HeaderValue::from(whole_seconds(wait).max(1)));
    }
    keep_from_sharing(headers);
    // A layer that waits for the response adds them once all limits of the request are known.
    if !context.ledger().is_watched() {
        let traffik = context.traffik();
        let x_ratelimit = traffik.requests().x_ratelimit.then(|| traffik.clock().wall_clock());
        context.ledger().show(|limits| add_fields(headers, limits, x_ratelimit));
    }
    response.extensions_mut().insert(Refused);
    response
}
