use std::{error::Error as StdError, fmt, ops::Deref, sync::Arc, time::Duration};

use thiserror::Error;
use traffik_core::backend::BackendError;

use super::{Limit, Limits};
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

/// The refusal of a check, which charged nothing. It dereferences to the [`Limits`] of the decision.
#[derive(Clone, Error)]
pub struct Refusal(Limits);

impl Refusal {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(limits)
    }

    /// Returns the limits that refuse.
    pub fn exceeded(&self) -> impl Iterator<Item = &Limit> + Clone {
        self.0.exceeded()
    }

    /// Returns the time until the same check would be admitted, if the client is charged nothing until then. Returns `None` if
    /// it never will be, because it costs more than the capacity of a limit.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after()
    }
}

impl Deref for Refusal {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        &self.0
    }
}

/// Shows the message alone, because programs print the errors that they end with.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Refusal").field(&format_args!("{self}")).finish()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.tightest();
        write!(f, "limit `{}` refuses: ", limit.uid())?;
        match limit.retry_after() {
            Some(wait) if limit.is_blocked() => {
                write!(f, "the client is blocked, retry after {}", humantime::format_duration(wait))
            }
            None if limit.is_blocked() => f.write_str("the client is blocked"),
            Some(wait) => write!(f, "retry after {}", humantime::format_duration(wait)),
            None => write!(f, "a cost of {} exceeds its capacity of {}", limit.cost(), limit.capacity()),
        }
    }
}
