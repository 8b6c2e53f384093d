use std::{sync::Arc, time::Duration};

use thiserror::Error;
use traffik_core::{
    backend::BackendError,
    decision::{Decision, Hit},
};

use super::{fallback_backend::FallbackBackend, function::AnyError};
use crate::store::Settles;

/// A decision, and the backend that made it.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    pub(crate) by: DecidedBy,
}

/// Which backend decided.
#[derive(Clone, Debug)]
pub(crate) enum DecidedBy {
    /// The throttle's own.
    Primary,
    /// The fallback, since the primary did not answer.
    Fallback(Arc<FallbackBackend>),
    /// None: the request passes although no backend answered.
    Unchecked,
    /// None: the request passes because all of its throttles are in a dry run. Otherwise it would have been rejected.
    DryRun,
    /// A connection of a WebSocket, which stores its limits itself: this one at a place.
    #[cfg_attr(not(feature = "ws"), allow(dead_code, reason = "only WebSockets have such limits"))]
    Connection(Arc<dyn Settles>, usize),
}

impl DecidedBy {
    /// Returns the same for the limit at a place of the decision.
    #[inline]
    pub(crate) fn at(&self, place: usize) -> Self {
        match self {
            Self::Connection(states, _) => Self::Connection(Arc::clone(states), place),
            other => other.clone(),
        }
    }
}

/// Why there is no decision.
#[derive(Debug, Error)]
pub(crate) enum Undecided {
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("{error}")]
    Refused { error: Arc<BackendError>, retry_after: Duration },
    #[error("{0}")]
    Raised(AnyError),
}

impl Decided {
    /// Takes a decision that has an outcome for each hit.
    ///
    /// # Errors
    ///
    /// Returns an error if an outcome is missing: a decision that leaves out a hit admits nothing.
    #[inline]
    pub(super) fn new(hits: &[Hit<'_>], decision: Decision, by: DecidedBy) -> Result<Self, BackendError> {
        let (hits, outcomes) = (hits.len(), decision.outcomes().len());
        if hits != outcomes {
            return Err(BackendError::unavailable(format!("the backend returned {outcomes} outcomes of {hits} hits")));
        }
        Ok(Self { decision, by })
    }

    /// A decision about no hits.
    pub(crate) fn nothing() -> Self {
        Self { decision: Decision::from_iter([]), by: DecidedBy::Primary }
    }

    pub(super) fn unchecked() -> Self {
        Self { by: DecidedBy::Unchecked, ..Self::nothing() }
    }

    /// A decision that could not be made in a dry run.
    pub(crate) fn dry_run() -> Self {
        Self { by: DecidedBy::DryRun, ..Self::nothing() }
    }
}
