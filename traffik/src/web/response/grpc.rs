//! Responses to requests of gRPC.

use std::fmt::Write;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header::CONTENT_TYPE},
    response::Response,
};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// A status of gRPC.
#[derive(Clone, Copy, Debug)]
pub(super) enum Code {
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Internal = 13,
    Unavailable = 14,
}

/// Returns a response of trailers only: the head of the response has the status, and there is no body.
pub(super) fn trailers_only(content_type: &'static str, code: Code, message: &str) -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(STATUS, (code as u16).into());
    // What is encoded is printable ASCII.
    if let Ok(message) = HeaderValue::try_from(percent_encoded(message)) {
        headers.insert(MESSAGE, message);
    }
    response
}

/// Encodes all bytes except printable ASCII other than `%`, as the protocol of gRPC over HTTP/2 says.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(byte.into());
        } else {
            // Writing into a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_percent_encoded() {
        assert_eq!(percent_encoded("\"a:b\" allows 5 at ~100%\r\nü"), "\"a:b\" allows 5 at ~100%25%0D%0A%C3%BC");
    }
}
