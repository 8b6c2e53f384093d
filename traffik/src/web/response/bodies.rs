//! The default responses, in the format that the client accepts: problem details (RFC 9457), of the types that the draft of
//! the RateLimit fields registers, a page, or a status of gRPC.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{Html, IntoResponse, Response},
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

use crate::{
    engine::Limit,
    web::{
        rejection::{Limited, Unavailable},
        request_head::ResponseFormat,
    },
};

/// Returns the default response to a client that is over a limit.
pub(super) fn limited(rejection: &Limited) -> Response {
    let status = rejection.status();
    let is_503 = status == StatusCode::SERVICE_UNAVAILABLE;
    let code = if is_503 { Code::Unavailable } else { Code::ResourceExhausted };
    in_format(rejection.format(), status, code, &rejection.body_text(), || limited_problem(rejection))
}

/// Returns the default response when the backend gave no answer.
pub(super) fn unavailable(rejection: &Unavailable) -> Response {
    let (status, text) = (rejection.status(), rejection.body_text());
    in_format(rejection.format(), status, Code::Unavailable, &text, || unavailable_problem(rejection))
}

/// Returns a page or a status of gRPC with a text, or calls `json`.
pub(super) fn in_format(
    format: ResponseFormat,
    status: StatusCode,
    code: Code,
    text: &str,
    json: impl FnOnce() -> Response,
) -> Response {
    match format {
        ResponseFormat::Json => json(),
        ResponseFormat::Html => page(status, text),
        ResponseFormat::Grpc { content_type } => trailers_only(content_type, code, text),
    }
}

const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";
const REDUCED_CAPACITY: &str = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity";

/// Returns problem details about limits without room.
pub(super) fn limited_problem(rejection: &Limited) -> Response {
    let shown = rejection.exceeded().filter(|limit| !limit.is_hidden());
    let uids = each_once(shown.map(Limit::uid));
    let status = rejection.status();
    let kind = if status == StatusCode::SERVICE_UNAVAILABLE { REDUCED_CAPACITY } else { QUOTA_EXCEEDED };
    problem(status, kind, &rejection.body_text(), Some(&uids))
}

/// Returns problem details about limits that cannot be checked.
pub(super) fn unavailable_problem(rejection: &Unavailable) -> Response {
    let shown = rejection.0.definitions.iter().filter(|definition| !definition.settings.request.is_hidden);
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

/// Returns a small page without external resources. Browsers choose its colours.
fn page(status: StatusCode, text: &str) -> Response {
    let (title, text) = (status.canonical_reason().unwrap_or_default(), escaped(text));
    let page = format!(
        "<!DOCTYPE html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n\
         </head>\n\
         <body>\n\
         <h1>{title}</h1>\n\
         <p>{text}</p>\n\
         </body>\n\
         </html>\n"
    );
    (status, Html(page)).into_response()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// All bytes except printable ASCII other than `%` are encoded, as the protocol of gRPC over HTTP/2 says.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// A status of gRPC.
#[derive(Clone, Copy, Debug)]
pub(super) enum Code {
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Internal = 13,
    Unavailable = 14,
}

/// Returns a response of trailers only: the head of the response has the status, and there is no body.
fn trailers_only(content_type: &'static str, code: Code, message: &str) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(STATUS, (code as u16).into());
    // What is encoded is printable ASCII.
    if let Ok(message) = HeaderValue::try_from(utf8_percent_encode(message, ENCODED).to_string()) {
        headers.insert(MESSAGE, message);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(
            escaped(r#"<script>"a" & 'b'</script>"#),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;"
        );
    }

    #[test]
    fn message_is_percent_encoded() {
        let response = trailers_only("application/grpc", Code::Internal, "\"a:b\" allows 5 at ~100%\r\nü");
        assert_eq!(response.headers()[MESSAGE], "\"a:b\" allows 5 at ~100%25%0D%0A%C3%BC");
    }
}
