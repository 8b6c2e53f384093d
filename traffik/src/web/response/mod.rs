//! Responses: the fields that show the client its limits, and the responses to rejected requests.
//!
//! The fields are those of [draft-ietf-httpapi-ratelimit-headers](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/),
//! written as structured fields (RFC 9651); the bodies are problem details (RFC 9457).

mod caching;
mod exposed;
mod fields;
mod refusal;
mod responder;

pub(super) use self::{
    caching::{is_shared, keep_from_sharing},
    fields::add_fields,
    refusal::Refused,
    responder::plain_problem,
};
pub use self::{
    exposed::{EXPOSED_HEADERS, X_RATELIMIT_HEADERS},
    responder::{ProblemDetails, Responder},
};
