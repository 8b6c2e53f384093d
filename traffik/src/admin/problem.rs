use axum::{
    extract::rejection::{JsonRejection, PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};

use crate::{engine::Error, limit::ConfigError, web::plain_problem};

/// What is wrong with a request, or why it has no answer. The response is problem details (RFC 9457).
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    /// Creates the problem of a value that cannot be used.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::UnknownUid { .. } => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            #[cfg(feature = "file")]
            ConfigError::NoLimitsFile => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            ConfigError::DuplicateUid { uid, first, .. } => Self::new(
                StatusCode::CONFLICT,
                format!(
                    "the uid {uid:?} is that of `{first}`, which is no limit that was added: change its settings with `PATCH`, or \
                     choose another uid"
                ),
            ),
            ConfigError::NotAValue { .. } => Self::new(StatusCode::CONFLICT, error.to_string()),
            ConfigError::NoBackendChosen { uid, .. } => Self::invalid(format!(
                "each request of the limit {uid:?} chooses its backend: name one with `?backend=`. `GET /health` lists them"
            )),
            ConfigError::FixedBackend { uid, backend, .. } => {
                Self::invalid(format!("the limit {uid:?} is always in the backend {backend:?}: leave `?backend=` out"))
            }
            ConfigError::Backend(_) => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            error => Self::invalid(error.to_string()),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Config(error) => error.into(),
            error => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }
}

/// Takes the status and the text of rejections of axum.
macro_rules! of_rejections {
    ($($rejection:ty),+) => {
        $(impl From<$rejection> for Problem {
            fn from(rejection: $rejection) -> Self {
                Self::new(rejection.status(), rejection.body_text())
            }
        })+
    };
}

of_rejections!(JsonRejection, PathRejection, QueryRejection);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = plain_problem(self.status, &self.detail);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
