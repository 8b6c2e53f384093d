//! Responses: the fields that show the client its limits, and the responses to rejected requests.
//!
//! The fields are those of
//! [draft-ietf-httpapi-ratelimit-headers](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/), written as
//! structured fields (RFC 9651); the bodies are problem details (RFC 9457), pages, or statuses of gRPC.

mod bodies;
mod caching;
mod fields;
mod refusal;

pub(crate) use self::bodies::plain_problem;
#[cfg(any(feature = "aide", feature = "utoipa"))]
pub(super) use self::bodies::problem_schema;
pub(super) use self::{
    caching::{is_shared, keep_from_sharing},
    fields::add_fields,
    refusal::Refused,
};
pub use self::{
    fields::{EXPOSED_HEADERS, X_RATELIMIT_HEADERS, set_fields},
    refusal::{DefaultResponder, ProblemDetails, Responder},
};
