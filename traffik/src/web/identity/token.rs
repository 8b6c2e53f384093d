use axum::{
    extract::FromRequestParts,
    http::{header::AUTHORIZATION, request::Parts},
};
use traffik_core::client::Client;

use super::{IdentityRejection, header};

/// Identifies the client by its bearer token, the one in `Authorization: Bearer ..` (RFC 6750). It is
/// [secret](Client::secret).
///
/// ```
/// use traffik::{Settings, identity::by_bearer_token};
///
/// let settings = Settings::new().identity(by_bearer_token);
/// ```
///
/// The token is not verified. A middleware that rejects unknown tokens has to run before: otherwise a client can have as many
/// limits as it makes up tokens.
///
/// # Errors
///
/// Returns a 401 if the request has no token, and a 400 if it has several `Authorization` headers.
pub fn by_bearer_token(parts: &Parts) -> Result<Client, IdentityRejection> {
    // Another scheme is not a token.
    const SCHEME: &str = "bearer";
    if !parts.headers.contains_key(AUTHORIZATION) {
        return Err(IdentityRejection::no_token());
    }
    let value = header::text(parts, &AUTHORIZATION)?;
    let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case(SCHEME));
    let token = token.map(|(_, token)| token.trim_ascii()).filter(|token| !token.is_empty());
    token.map(Client::secret).ok_or_else(IdentityRejection::no_token)
}

/// Identity by the bearer token of a request, which is [secret](Client::secret). [`by_bearer_token`] is the same as a function.
///
/// ```
/// use traffik::{Rate, Throttle, identity::ByBearerToken};
///
/// struct Api;
///
/// impl Throttle for Api {
///     const UID: &'static str = "api:token";
///     const RATE: Rate = Rate::literal("1000/min");
///     type Identity = ByBearerToken;
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ByBearerToken(Client);

impl<S: Sync> FromRequestParts<S> for ByBearerToken {
    type Rejection = IdentityRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, IdentityRejection> {
        by_bearer_token(parts).map(Self)
    }
}

impl From<ByBearerToken> for Client {
    fn from(ByBearerToken(client): ByBearerToken) -> Self {
        client
    }
}
