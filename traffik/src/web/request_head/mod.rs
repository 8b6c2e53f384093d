//! What a rejection keeps of its request.

mod accept;
mod format;

use std::sync::Arc;

use axum::http::{Method, Request, request::Parts};

pub use self::format::ResponseFormat;
use self::format::format_of;

/// What a rejection keeps of its request.
#[derive(Clone, Debug, Default)]
pub(super) struct RequestHead {
    format: ResponseFormat,
    is_head: bool,
    /// `None` if no responder of the application may read it.
    request: Option<Arc<Request<()>>>,
}

impl RequestHead {
    /// Reads how to respond. Copies the request if a responder of the application may read it.
    pub(super) fn of(parts: &Parts, has_responder: bool) -> Self {
        Self {
            format: format_of(&parts.headers),
            is_head: parts.method == Method::HEAD,
            request: has_responder.then(|| Arc::new(copy(parts))),
        }
    }

    pub(super) fn format(&self) -> ResponseFormat {
        self.format
    }

    /// Returns whether the response has no body.
    pub(super) fn is_head(&self) -> bool {
        self.is_head
    }

    pub(super) fn request(&self) -> Option<&Request<()>> {
        self.request.as_deref()
    }
}

/// Copies everything except the extensions.
fn copy(parts: &Parts) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.version_mut() = parts.version;
    *request.headers_mut() = parts.headers.clone();
    request
}
