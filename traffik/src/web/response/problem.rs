//! Problem details (RFC 9457), of the types that the draft of the RateLimit fields registers.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use serde::Serialize;

use crate::{
    engine::Limit,
    web::rejection::{Limited, Unavailable},
};

const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const REDUCED_CAPACITY: &str = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

/// Returns problem details about limits without room.
pub(super) fn limited(rejection: &Limited) -> Response {
    let shown = rejection.exceeded().filter(|limit| !limit.is_hidden());
    let uids = each_once(shown.map(Limit::uid));
    let status = rejection.status();
    let kind = if status == StatusCode::SERVICE_UNAVAILABLE { REDUCED_CAPACITY } else { QUOTA_EXCEEDED };
    problem(status, kind, &rejection.body_text(), Some(&uids))
}

/// Returns problem details about limits that cannot be checked.
pub(super) fn unavailable(rejection: &Unavailable) -> Response {
    let shown = rejection.definitions().iter().filter(|definition| !definition.settings.request.is_hidden);
    let uids = each_once(shown.map(|definition| &*definition.uid));
    problem(rejection.status(), REDUCED_CAPACITY, &rejection.body_text(), Some(&uids))
}

/// Returns problem details that say no more than their status and `detail`.
pub(crate) fn plain_problem(status: StatusCode, detail: &str) -> Response {
    problem(status, "about:blank", detail, None)
}

/// A throttle may refuse several clients of a quota.
fn each_once<'u>(uids: impl Iterator<Item = &'u str>) -> Vec<&'u str> {
    uids.fold(Vec::new(), |mut all, uid| {
        if !all.contains(&uid) {
            all.push(uid);
        }
        all
    })
}

/// Problem details, in an order for human readers.
#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: Option<&'static str>,
    status: u16,
    detail: &'a str,
    #[serde(rename = "violated-policies", skip_serializing_if = "Option::is_none")]
    violated_policies: Option<&'a [&'a str]>,
}

/// Returns the JSON schema of a [`Problem`] about limits.
#[cfg(any(feature = "aide", feature = "utoipa"))]
pub(in crate::web) fn problem_schema() -> serde_json::Value {
    serde_json::json!({
        "type": "object",
        "description": "Problem details (RFC 9457) about limits.",
        "required": ["type", "title", "status", "detail", "violated-policies"],
        "properties": {
            "type": {
                "type": "string",
                "format": "uri",
                "description": "The kind of problem: a limit of the client, or of the service.",
                "enum": [QUOTA_EXCEEDED, REDUCED_CAPACITY],
            },
            "title": { "type": "string", "description": "The name of the status." },
            "status": { "type": "integer", "description": "The status of the response." },
            "detail": { "type": "string", "description": "The limit and the wait, for people." },
            "violated-policies": {
                "type": "array",
                "description": "The names of the limits, as in `RateLimit-Policy`.",
                "items": { "type": "string" },
            },
        },
    })
}

fn problem(status: StatusCode, kind: &str, detail: &str, violated_policies: Option<&[&str]>) -> Response {
    let body = Problem { kind, title: status.canonical_reason(), status: status.as_u16(), detail, violated_policies };
    // Texts and numbers can always be written as JSON.
    let mut response = Response::new(Body::from(serde_json::to_string(&body).unwrap_or_default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}
