//! Who logs in gets a token: a JWT that names the user, signed by this server.

use chrono::Duration;
use jwt_compact::{
    CreationError,
    alg::{Hs256, Hs256Key},
    prelude::*,
};
use serde::{Deserialize, Serialize};

/// What tokens are signed with.
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

    /// A token for so many minutes.
    pub(crate) fn issue(&self, user: &str, minutes: i64) -> Result<String, CreationError> {
        let claims = Claims::new(User { name: user.to_owned() });
        let claims = claims.set_duration_and_issuance(&TimeOptions::default(), Duration::minutes(minutes));
        Hs256.token(&Header::empty(), &claims, &self.key)
    }

    /// The user that a token names, if this server signed it and its time is not over.
    pub(crate) fn user_of(&self, token: &str) -> Option<String> {
        let token = UntrustedToken::new(token).ok()?;
        let token = Hs256.validator::<User>(&self.key).validate(&token).ok()?;
        let claims = token.claims().validate_expiration(&TimeOptions::default()).ok()?;
        Some(claims.custom.name.clone())
    }
}
