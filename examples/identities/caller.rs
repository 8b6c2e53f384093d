//! The authenticated caller of a request. A middleware inserts it before any limit is checked.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
    middleware::Next,
    response::Response,
};

use super::{
    keys::{ApiKeys, Owner},
    tokens::Tokens,
};

/// Verifies the credentials of callers.
pub(crate) struct Proofs {
    pub(crate) tokens: Tokens,
    pub(crate) keys: ApiKeys,
}

#[derive(Clone)]
pub(crate) enum Caller {
    User(String),
    /// A customer, by its verified API key.
    Customer(String),
    Internal,
}

/// A request without credentials continues without a caller. One with invalid credentials gets a 401.
pub(crate) async fn authenticate(
    State(proofs): State<Arc<Proofs>>,
    mut request: Request,
    next: Next,
) -> Result<Response, StatusCode> {
    if let Some(caller) = proofs.caller(request.headers())? {
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

impl Proofs {
    fn caller(&self, headers: &HeaderMap) -> Result<Option<Caller>, StatusCode> {
        let text = |name| headers.get(name).map(|value| value.to_str().map_err(|_| StatusCode::UNAUTHORIZED));
        if let Some(key) = text("x-api-key").transpose()? {
            return match self.keys.owner_of(key.as_bytes()) {
                Some(Owner::Internal) => Ok(Some(Caller::Internal)),
                Some(Owner::Customer) => Ok(Some(Caller::Customer(key.to_owned()))),
                None => Err(StatusCode::UNAUTHORIZED),
            };
        }
        let Some(authorization) = text("authorization").transpose()? else { return Ok(None) };
        let user = authorization.strip_prefix("Bearer ").and_then(|token| self.tokens.user_of(token));
        user.map(|name| Some(Caller::User(name))).ok_or(StatusCode::UNAUTHORIZED)
    }
}
