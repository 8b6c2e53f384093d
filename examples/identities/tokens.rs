//! Tokens for users that log in: JWTs that name the user, signed by this server.

use chrono::Duration;
use jwt_compact::{
    CreationError,
    alg::{Hs256, Hs256Key},
    prelude::*,
};
use serde::{Deserialize, Serialize};

/// Signs and verifies tokens.
pub(crate) struct Tokens {
    key: Hs256Key,
}

#[derive(Deserialize, Serialize)]
struct User {
    #[serde(rename = "sub")]
    name: String,
}

impl Tokens {
    pub(crate) fn new(secret: &str) -> Self {
        Self { key: Hs256Key::new(secret) }
    }

    /// Issues a token that is valid for this number of minutes.
    pub(crate) fn issue(&self, user: &str, minutes: i64) -> Result<String, CreationError> {
        let claims = Claims::new(User { name: user.to_owned() });
        let claims = claims.set_duration_and_issuance(&TimeOptions::default(), Duration::minutes(minutes));
        Hs256.token(&Header::empty(), &claims, &self.key)
    }

    /// Returns the user of a token, or `None` if this server did not sign it or it has expired.
    pub(crate) fn user_of(&self, token: &str) -> Option<String> {
        let token = UntrustedToken::new(token).ok()?;
        let token = Hs256.validator::<User>(&self.key).validate(&token).ok()?;
        let claims = token.claims().validate_expiration(&TimeOptions::default()).ok()?;
        Some(claims.custom.name.clone())
    }
}
