use axum::{extract::FromRequestParts, http::request::Parts};

use super::{RequestContext, rejection::Misconfigured};
use crate::engine::Traffik;

/// Extracts the handle of the innermost [`Traffik::layer`], or of an `axum::Extension` where there is no such layer.
impl<S: Sync> FromRequestParts<S> for Traffik {
    type Rejection = Misconfigured;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Misconfigured> {
        RequestContext::handle(&parts.extensions).cloned().ok_or_else(Misconfigured::no_state)
    }
}
