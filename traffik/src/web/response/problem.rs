use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use serde::Serialize;

use super::Responder;
use crate::web::rejection::{Limited, Unavailable};

/// Answers with problem details (RFC 9457), of the types that the RateLimit fields' draft registers.
///
/// ```json
/// {"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Too Many Requests","status":429,
///  "detail":"\"search:burst\" allows 5 requests per minute; try again in 12s","violated-policies":["search:burst"]}
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ProblemDetails;

impl Responder for ProblemDetails {
    fn limited(&self, rejection: &Limited) -> Response {
        let uids: Vec<_> = rejection.exceeded().map(crate::engine::Limit::uid).collect();
        problem(
            StatusCode::TOO_MANY_REQUESTS,
            "https://iana.org/assignments/http-problem-types#quota-exceeded",
            &rejection.to_string(),
            &uids,
        )
    }

    fn unavailable(&self, rejection: &Unavailable) -> Response {
        let uids: Vec<_> = rejection.uids().collect();
        problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
            &rejection.to_string(),
            &uids,
        )
    }
}

/// Problem details, in the order in which people read them.
#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: Option<&'static str>,
    status: u16,
    detail: &'a str,
    #[serde(rename = "violated-policies")]
    violated_policies: &'a [&'a str],
}

fn problem(status: StatusCode, kind: &str, detail: &str, violated_policies: &[&str]) -> Response {
    let body = Problem { kind, title: status.canonical_reason(), status: status.as_u16(), detail, violated_policies };
    // Texts and numbers always have a form in JSON.
    let mut response = Response::new(Body::from(serde_json::to_string(&body).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}
