use std::fmt;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use sync_wrapper::SyncWrapper;

/// A response that a function or an extractor of the user made.
pub(super) struct OwnResponse(Box<(StatusCode, SyncWrapper<Response>)>);

impl OwnResponse {
    pub(super) fn new(response: Response) -> Self {
        Self(Box::new((response.status(), SyncWrapper::new(response))))
    }

    pub(super) fn status(&self) -> StatusCode {
        self.0.0
    }
}

impl IntoResponse for OwnResponse {
    fn into_response(self) -> Response {
        self.0.1.into_inner()
    }
}

impl fmt::Debug for OwnResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}
