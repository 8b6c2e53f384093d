use axum::http::{HeaderMap, header::CONTENT_TYPE};

use super::accept::prefers_html;

/// The format of the default response to a rejected request, by what the client accepts.
///
/// A [`Responder`](crate::Responder) can make its own response in one format, and leave the others to
/// [`DefaultResponder`](crate::web::DefaultResponder):
///
/// ```
/// use axum::response::{Html, IntoResponse, Response};
/// use traffik::{Limited, Responder, web::{DefaultResponder, ResponseFormat}};
///
/// struct Pages;
///
/// impl Responder for Pages {
///     fn limited(&self, limited: &Limited) -> Response {
///         match limited.format() {
///             ResponseFormat::Html => (limited.status(), Html("<h1>Please slow down</h1>")).into_response(),
///             _ => DefaultResponder.limited(limited),
///         }
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Problem details in JSON, for every client that does not ask for another format.
    #[default]
    Json,
    /// A page, for clients whose `Accept` prefers `text/html` over JSON.
    Html,
    /// A status of gRPC, for requests whose content type begins with `application/grpc`.
    #[non_exhaustive]
    Grpc {
        /// The content type of the response: `application/grpc`, `application/grpc-web` or `application/grpc-web-text`.
        content_type: &'static str,
    },
}

/// The content types of gRPC. One that begins with an earlier one comes before it.
const GRPC: [&str; 3] = ["application/grpc-web-text", "application/grpc-web", "application/grpc"];

pub(super) fn format_of(headers: &HeaderMap) -> ResponseFormat {
    match headers.get(CONTENT_TYPE).and_then(|content_type| grpc_type(content_type.as_bytes())) {
        Some(content_type) => ResponseFormat::Grpc { content_type },
        None if prefers_html(headers) => ResponseFormat::Html,
        None => ResponseFormat::Json,
    }
}

fn grpc_type(content_type: &[u8]) -> Option<&'static str> {
    let begins_with =
        |kind: &&str| content_type.get(..kind.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(kind.as_bytes()));
    GRPC.into_iter().find(begins_with)
}
