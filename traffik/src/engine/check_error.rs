use thiserror::Error;

use super::{Error, Refusal};

/// The reason why a client was not admitted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A limit refuses the client. Nothing was charged.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no decision.
    #[error(transparent)]
    Failed(#[from] Error),
}
