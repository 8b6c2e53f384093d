use axum::{extract::FromRequestParts, http::request::Parts};

use super::{RequestContext, ThrottleRejection, rejection::Misconfigured, resolve::default_client};
use crate::{engine::resolve, limit::DefaultIdentity};

impl<S: Sync> FromRequestParts<S> for DefaultIdentity {
    type Rejection = ThrottleRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ThrottleRejection> {
        let Some(traffik) = RequestContext::handle(&parts.extensions) else {
            return Err(Misconfigured::no_state().into());
        };
        resolve!(default_client(traffik, parts)).map(Self)
    }
}
