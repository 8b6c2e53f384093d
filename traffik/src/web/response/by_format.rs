//! The default responses, in the format that the client accepts.

use axum::{http::StatusCode, response::Response};

use super::{grpc, html, problem};
use crate::web::{
    rejection::{Limited, Unavailable},
    request_head::ResponseFormat,
};

pub(super) fn limited(rejection: &Limited) -> Response {
    let status = rejection.status();
    let is_503 = status == StatusCode::SERVICE_UNAVAILABLE;
    let code = if is_503 { grpc::Code::Unavailable } else { grpc::Code::ResourceExhausted };
    let response = text_in(rejection.format(), status, code, &rejection.body_text());
    response.unwrap_or_else(|| problem::limited(rejection))
}

pub(super) fn unavailable(rejection: &Unavailable) -> Response {
    let code = grpc::Code::Unavailable;
    let response = text_in(rejection.format(), rejection.status(), code, &rejection.body_text());
    response.unwrap_or_else(|| problem::unavailable(rejection))
}

/// Returns a response that consists of a text, or `None` for JSON.
pub(super) fn text_in(format: ResponseFormat, status: StatusCode, code: grpc::Code, text: &str) -> Option<Response> {
    match format {
        ResponseFormat::Json => None,
        ResponseFormat::Html => Some(html::page(status, text)),
        ResponseFormat::Grpc { content_type } => Some(grpc::trailers_only(content_type, code, text)),
    }
}
