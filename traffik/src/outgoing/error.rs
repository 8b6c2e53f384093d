use std::{error::Error, time::Duration};

use thiserror::Error;

use crate::engine::CheckError;

/// Why a call has no response.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OutgoingError {
    /// The limits do not admit the call in time, or cannot be checked. The call was not made.
    #[error("the call was not made: {0}")]
    NotAdmitted(#[source] CheckError),
    /// An earlier response asks for a longer pause than the call waits. The call was not made.
    #[error("the call was not made, because an earlier response says: retry after {}", humantime::format_duration(*.retry_after))]
    #[non_exhaustive]
    HeldBack {
        /// How long until calls go on.
        retry_after: Duration,
    },
    /// The request has no host to limit it by. The call was not made.
    #[error(
        "the call was not made, because its URI has no host: use an absolute URI, or set a key with `OutgoingLayer::key` or \
         `OutgoingLayer::key_by`"
    )]
    NoHost,
    /// The error of the client that was called.
    #[error(transparent)]
    Inner(Box<dyn Error + Send + Sync>),
}

impl OutgoingError {
    /// Returns how long until the call may be made, if that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotAdmitted(CheckError::Refused(refusal)) => refusal.retry_after(),
            Self::HeldBack { retry_after } => Some(*retry_after),
            Self::NotAdmitted(CheckError::Failed(_)) | Self::NoHost | Self::Inner(_) => None,
        }
    }
}
