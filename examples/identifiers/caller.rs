//! Who a request is from, as far as that was proved: put into it by a middleware, before anything is limited.

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

/// What callers prove who they are with.
pub(crate) struct Proofs {
    pub(crate) tokens: Tokens,
    pub(crate) keys: ApiKeys,
}

#[derive(Clone)]
pub(crate) enum Caller {
    User(String),
    /// By the API key that was checked.
    Customer(String),
    Internal,
}

/// A request that proves nothing goes on without a caller. One that claims what it cannot prove ends here.
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
