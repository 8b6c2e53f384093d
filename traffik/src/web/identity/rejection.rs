use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
};
use thiserror::Error;

use crate::web::{rejection::Misconfigured, response::plain_problem};

/// The reason why an identity of this module rejects a request.
///
/// As a response it has problem details:
///
/// | request | status |
/// |---|---|
/// | without the header | 400 |
/// | with several different values, or one that is not text | 400 |
/// | without the API key, the token or the cookie | 401, with the scheme in `WWW-Authenticate` |
/// | without the extension | 500, which names the type and what to change, and is logged |
///
/// A rejected request is not charged.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct IdentityRejection(pub(super) Reason);

#[derive(Debug, Error)]
pub(super) enum Reason {
    #[error("the header `{0}` is missing")]
    NoHeader(HeaderName),
    #[error("the header `{0}` occurs more than once")]
    SeveralHeaders(HeaderName),
    #[error("the header `{0}` is not text")]
    UnreadableHeader(HeaderName),
    #[error("the header `{0}` with an API key is missing")]
    NoApiKey(HeaderName),
    #[error("the header `authorization` with a bearer token is missing")]
    NoToken,
    #[error("the cookie `{0}` is missing")]
    NoCookie(Box<str>),
    #[error("the cookie `{0}` occurs with different values")]
    SeveralCookies(Box<str>),
    #[error(transparent)]
    Misconfigured(Misconfigured),
}

impl IdentityRejection {
    /// Makes the missing header one with credentials.
    pub(super) fn of_api_key(self) -> Self {
        match self.0 {
            Reason::NoHeader(name) => Self(Reason::NoApiKey(name)),
            other => Self(other),
        }
    }

    /// Returns the status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match &self.0 {
            Reason::Misconfigured(error) => error.status(),
            _ if self.challenge().is_some() => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns the reason as a text that a client may see. It shows no value that the client sent.
    #[must_use]
    pub fn body_text(&self) -> String {
        self.to_string()
    }

    /// Returns the scheme that the client has to authenticate by.
    fn challenge(&self) -> Option<&'static str> {
        match &self.0 {
            Reason::NoApiKey(_) => Some("ApiKey"),
            Reason::NoToken => Some("Bearer"),
            Reason::NoCookie(_) => Some("Cookie"),
            _ => None,
        }
    }
}

impl IntoResponse for IdentityRejection {
    fn into_response(self) -> Response {
        if let Reason::Misconfigured(error) = self.0 {
            return error.into_response();
        }
        let mut response = plain_problem(self.status(), &self.body_text());
        if let Some(challenge) = self.challenge() {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}
