//! A response field that names the backend of the decision. Clients do not need it, but operators do during an outage.

use axum::response::{IntoResponse, Response};
use traffik::{Limited, Limits, Responder, breaker::BreakerState, web::ProblemDetails};

pub(crate) const NAME: &str = "x-decided-by";
pub(crate) const PRIMARY: &str = "primary";
pub(crate) const FALLBACK: &str = "fallback";

pub(crate) fn field(limits: &Limits) -> [(&'static str, &'static str); 1] {
    [(NAME, if limits.is_from_fallback() { FALLBACK } else { PRIMARY })]
}

/// Returns the default 429, with that field.
pub(crate) fn refusal(limited: &Limited) -> Response {
    (field(limited.limits()), ProblemDetails.limited(limited)).into_response()
}

pub(crate) fn name(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half-open",
        _ => "in another state",
    }
}
