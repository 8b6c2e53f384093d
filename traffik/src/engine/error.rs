use std::{error::Error as StdError, sync::Arc, time::Duration};

use thiserror::Error;
use traffik_core::backend::BackendError;

use crate::{limit::ConfigError, on_error::Undecided};

/// Why there is no decision.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Something is set up wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The backend gave no answer.
    #[error(transparent)]
    Backend(BackendError),
    /// The backend gave no answer, and a function of yours says for how long the client is refused for that: see
    /// [`on_error`](crate::on_error).
    #[error("{error}; try again in {}", humantime::format_duration(*.retry_after))]
    #[non_exhaustive]
    Refused {
        /// Why the backend gave none.
        #[source]
        error: Arc<BackendError>,
        /// For how long.
        retry_after: Duration,
    },
    /// The backend gave no answer, and that is to be [raised](crate::on_error::Raise), or a function of yours returned an error.
    #[error("{0}")]
    Raised(#[source] Box<dyn StdError + Send + Sync>),
}

impl From<Undecided> for Error {
    fn from(undecided: Undecided) -> Self {
        match undecided {
            Undecided::Backend(error) => error.into(),
            Undecided::Refused { error, retry_after } => Self::Refused { error, retry_after },
            Undecided::Raised(error) => Self::Raised(error),
        }
    }
}

impl From<BackendError> for Error {
    fn from(error: BackendError) -> Self {
        match error {
            BackendError::Misconfigured(source) => Self::Config(ConfigError::Backend(source.into())),
            error => Self::Backend(error),
        }
    }
}
