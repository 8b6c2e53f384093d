use axum::response::{IntoResponse, Response};
use thiserror::Error;

use super::{Unwanted, own_response::OwnResponse};

/// An identity rejected the request, with a response of its own.
#[derive(Debug, Error)]
#[error("the client of the request could not be identified")]
pub struct Unidentified(pub(super) OwnResponse);

impl Unidentified {
    pub(in crate::web) fn new(response: Response) -> Self {
        Self(OwnResponse::new(response))
    }
}

impl IntoResponse for Unidentified {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.extensions_mut().insert(Unwanted);
        response
    }
}
