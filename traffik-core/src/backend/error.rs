use std::{error::Error, time::Duration};

use thiserror::Error;

/// The error of a backend that gave no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The backend was closed.
    #[error("the backend is closed: nothing is decided after `Traffik::close`")]
    Closed,
    /// The call took too long. It may have run, or may run later.
    #[error("the backend did not answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// The call did not run and never will. It can be repeated without a second charge.
    #[error("the backend was not asked: {0}")]
    NotRun(#[source] Box<dyn Error + Send + Sync>),
    /// The backend is set up wrong, for instance without a required setting. The call did not run.
    ///
    /// This is no failure of the store: no error policy and no circuit breaker reacts to it. A request gets a 500 with the
    /// text, which has to say what to change.
    #[error("the backend is set up wrong: {0}")]
    Misconfigured(#[source] Box<dyn Error + Send + Sync>),
    /// The store did not answer, or its answer is not valid. The call may have run, or may run later.
    #[error("the backend is unavailable: {0}")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl BackendError {
    /// Creates an error for a call that may have run. `source` is the cause.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    /// Creates an error for a call that certainly did not run. `source` is the cause.
    ///
    /// Use it only if that is certain. If the call ran, repeating it charges twice.
    ///
    /// ```
    /// use traffik::backend::BackendError;
    ///
    /// assert!(!BackendError::not_run("there is no connection").may_have_run());
    /// assert!(BackendError::unavailable("the connection was lost").may_have_run());
    /// ```
    pub fn not_run(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::NotRun(source.into())
    }

    /// Creates an error for a backend that is set up wrong. `source` says what to change.
    pub fn misconfigured(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Misconfigured(source.into())
    }

    /// Returns `true` if the call may have run, or may run later. If not, nothing was charged.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        !matches!(self, Self::Closed | Self::NotRun(_) | Self::Misconfigured(_))
    }
}
