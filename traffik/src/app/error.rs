use thiserror::Error;

use crate::{backend::BackendError, throttle::ConfigError};

/// Why there is no decision.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Something is set up wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The backend gave no answer.
    #[error(transparent)]
    Backend(#[from] BackendError),
}
