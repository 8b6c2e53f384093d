use std::fmt;

use axum::response::{IntoResponse, Response};
use sync_wrapper::SyncWrapper;
use thiserror::Error;

use crate::web::rejection::Unwanted;

/// Whoever names the client turned the request away, with this response.
#[derive(Error)]
#[error("the client of the request could not be named")]
pub struct Unidentified(Box<SyncWrapper<Response>>);

impl Unidentified {
    pub(in crate::web) fn new(response: Response) -> Self {
        Self(Box::new(SyncWrapper::new(response)))
    }
}

impl fmt::Debug for Unidentified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unidentified(..)")
    }
}

impl IntoResponse for Unidentified {
    fn into_response(self) -> Response {
        let mut response = self.0.into_inner();
        response.extensions_mut().insert(Unwanted);
        response
    }
}
