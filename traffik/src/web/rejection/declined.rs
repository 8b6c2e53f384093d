use std::fmt;

use axum::response::{IntoResponse, Response};
use sync_wrapper::SyncWrapper;
use thiserror::Error;

/// A function that gives the cost or the rate of a request turned it away, with this response.
#[derive(Error)]
#[error("a function of the throttle turned the request away")]
pub struct Declined(Box<SyncWrapper<Response>>);

impl Declined {
    pub(in crate::web) fn new(response: Response) -> Self {
        Self(Box::new(SyncWrapper::new(response)))
    }
}

impl fmt::Debug for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Declined(..)")
    }
}

impl IntoResponse for Declined {
    fn into_response(self) -> Response {
        self.0.into_inner()
    }
}
