//! Responses: the fields that show the client its limits, and the responses to rejected requests.
//!
//! The fields are those of
//! [draft-ietf-httpapi-ratelimit-headers](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/), written as
//! structured fields (RFC 9651); the bodies are problem details (RFC 9457), pages, or statuses of gRPC.

mod by_format;
mod caching;
mod exposed;
mod fields;
mod grpc;
mod html;
mod problem;
mod refusal;
mod responder;
mod set_fields;

pub(crate) use self::problem::plain_problem;
#[cfg(any(feature = "aide", feature = "utoipa"))]
pub(super) use self::problem::problem_schema;
pub(super) use self::{
    caching::{is_shared, keep_from_sharing},
    fields::add_fields,
    refusal::Refused,
};
pub use self::{
    exposed::{EXPOSED_HEADERS, X_RATELIMIT_HEADERS},
    responder::{DefaultResponder, ProblemDetails, Responder},
    set_fields::set_fields,
};
