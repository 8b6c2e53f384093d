//! What is told of the decisions: clients need not know who made them, but whoever looks into an outage wants to.

use axum::response::{IntoResponse, Response};
use traffik::{Limited, Limits, Responder, breaker::BreakerState, web::ProblemDetails};

pub(crate) const DECIDED_BY: &str = "x-decided-by";
pub(crate) const PRIMARY: &str = "primary";
pub(crate) const FALLBACK: &str = "fallback";

pub(crate) fn who_decided(limits: &Limits) -> [(&'static str, &'static str); 1] {
    [(DECIDED_BY, if limits.is_from_fallback() { FALLBACK } else { PRIMARY })]
}

/// The usual 429, with that field too.
pub(crate) fn refusal(limited: &Limited) -> Response {
    (who_decided(limited.limits()), ProblemDetails.limited(limited)).into_response()
}

pub(crate) fn name(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half-open",
    }
}
