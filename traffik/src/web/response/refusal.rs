//! The responses that turn a request away: what a responder made, and what every such response needs.

use std::time::Duration;

use axum::{
    http::{
        HeaderValue,
        header::{Entry, RETRY_AFTER},
    },
    response::Response,
};

use super::{add_fields, keep_from_sharing, whole_seconds};
use crate::web::{
    RequestContext,
    rejection::{Limited, Raised, Unavailable},
};

/// Marks a response as one that turns the request away: what it was charged is given back.
#[derive(Clone, Copy, Debug)]
pub(in crate::web) struct TurnedAway;

pub(in crate::web) fn refuse(rejection: &Limited) -> Response {
    let own = &rejection.limits().tightest().definition().settings.web.responder;
    let response = own.as_ref().unwrap_or(&rejection.context().traffik().web().responder).limited(rejection);
    turn_away(response, rejection.retry_after(), rejection.context())
}

pub(in crate::web) fn unavailable(rejection: &Unavailable) -> Response {
    let response = rejection.responder().unavailable(rejection);
    turn_away(response, Some(rejection.retry_after()), rejection.context())
}

/// The response with what it is about, which a middleware may report.
pub(in crate::web) fn raised(response: Response, rejection: Raised) -> Response {
    let mut response = turn_away(response, None, rejection.context());
    response.extensions_mut().insert(rejection);
    response
}

fn turn_away(mut response: Response, retry_after: Option<Duration>, context: &RequestContext) -> Response {
    let headers = response.headers_mut();
    if let (Entry::Vacant(vacant), Some(wait)) = (headers.entry(RETRY_AFTER), retry_after) {
        vacant.insert(HeaderValue::from(whole_seconds(wait).max(1)));
    }
    keep_from_sharing(headers);
    // A layer that waits for the response adds them once it knows everything that was met.
    if !context.ledger().is_watched() {
        let x_ratelimit = context.traffik().web().x_ratelimit;
        context.ledger().show(|limits| add_fields(headers, limits, x_ratelimit));
    }
    response.extensions_mut().insert(TurnedAway);
    response
}
