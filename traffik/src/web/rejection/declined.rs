use axum::response::{IntoResponse, Response};
use thiserror::Error;

use super::own_response::OwnResponse;

/// The function for the cost or the rate rejected the request, with a response of its own.
#[derive(Debug, Error)]
#[error("a function of the throttle rejected the request")]
pub struct Declined(pub(super) OwnResponse);

impl Declined {
    pub(in crate::web) fn new(response: Response) -> Self {
        Self(OwnResponse::new(response))
    }
}

impl IntoResponse for Declined {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}
