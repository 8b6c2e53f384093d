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
    /// The store was not asked, or said that it did nothing yet: the call surely did not run, and never will. It can be made
    /// again without a charge that counts twice.
    #[error("the backend was not asked: {0}")]
    NotRun(#[source] Box<dyn Error + Send + Sync>),
    /// The store did not answer, or did not understand. The call may have run, or run later.
    #[error("the backend is unavailable: {0}")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl BackendError {
    /// The store gave no answer, because of `source`, and may have done what it was asked.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    /// The call surely did not run, because of `source`.
    ///
    /// A backend says so of nothing else: what is charged by a call that ran after all is charged twice if it is made again.
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

    /// Whether the call may have run, or may yet. If not, nothing was charged.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        !matches!(self, Self::Closed | Self::NotRun(_))
    }
}
