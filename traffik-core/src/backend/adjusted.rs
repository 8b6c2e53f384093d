use std::sync::Arc;

use thiserror::Error;

use super::BackendError;
use crate::{decision::Outcome, strategy::SettleError};

/// The result of one [`Adjustment`](crate::decision::Adjustment). The [`cost`](Outcome::cost) of the outcome is the actual cost.
pub type Adjusted = Result<Outcome, AdjustmentError>;

/// The reason why one charge of a call was not adjusted. The other adjustments of the call have their own results.
///
/// ```
/// use traffik::backend::{Adjusted, AdjustmentError, BackendError};
///
/// fn unreadable(key: &str) -> Adjusted {
///     Err(BackendError::unavailable(format!("the key {key} holds what is not a state: delete the key")).into())
/// }
///
/// assert!(matches!(unreadable("alice"), Err(AdjustmentError::Backend(error)) if error.may_have_run()));
/// ```
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum AdjustmentError {
    /// The strategy cannot store the new cost. The charge stays as it was.
    #[error(transparent)]
    Strategy(#[from] SettleError),
    /// The store did not adjust this charge. If the adjustment [did not run](BackendError::may_have_run), it can be repeated.
    #[error(transparent)]
    Backend(Arc<BackendError>),
}

impl From<BackendError> for AdjustmentError {
    fn from(error: BackendError) -> Self {
        Self::Backend(Arc::new(error))
    }
}
