use std::{error::Error, time::Duration};

use thiserror::Error;
use traffik::backend::BackendError;

use super::reasons::of_refusal as in_plain_words;

/// Why a call brought no answer, by what may have come of it.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    /// It surely did not run.
    #[error("Redis was not asked: {0}")]
    NotRun(#[source] Box<dyn Error + Send + Sync>),
    /// It may have run, or may yet: the connection was lost, or too much time went by.
    #[error("no answer from Redis: {0}")]
    InDoubt(#[source] Box<dyn Error + Send + Sync>),
    /// The server answered with an error, and wrote nothing.
    #[error("Redis refused: {}", in_plain_words(.0))]
    Refused(String),
    /// The client was closed.
    #[error("the connection to Redis is closed")]
    Closed,
}

impl CallError {
    /// The server answered what no program answers.
    pub(crate) fn nonsense(what: &str) -> Self {
        Self::Refused(format!("its answer makes no sense: {what}"))
    }

    pub(super) fn silence(patience: Duration) -> Self {
        Self::InDoubt(format!("none within {patience:?}").into())
    }
}

impl From<CallError> for BackendError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Closed => Self::Closed,
            other => Self::unavailable(other),
        }
    }
}
