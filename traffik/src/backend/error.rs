use std::{error::Error, time::Duration};

use thiserror::Error;

/// Why a backend gave no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The backend was closed.
    #[error("the backend is closed: nothing is decided after `Traffik::close`")]
    Closed,
    /// The call took longer than it may. It may still have run, or run later.
    #[error("the backend did not answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// The store could not be asked, or did not understand.
    #[error("the backend is unavailable: {0}")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl BackendError {
    /// The store could not be asked, because of `source`.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }
}
