//! Records a decision in the ledger of its request.

use std::sync::Arc;

use super::{
    RequestContext,
    rejection::{Limited, Misconfigured, Raised, ThrottleRejection, Unavailable},
};
use crate::engine::{CheckResult, Error, Failed, Limits};

impl RequestContext {
    /// Records the limits of a decision.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request that was refused or could not be decided.
    pub(super) fn record(&self, decided: CheckResult) -> Result<Limits, ThrottleRejection> {
        let limits = decided.map_err(|failed| self.reject(*failed))?;
        self.ledger().record(&limits);
        if limits.is_admitted() { Ok(limits) } else { Err(Limited::new(limits, self.clone()).into()) }
    }

    #[cold]
    fn reject(&self, Failed { error, definitions }: Failed) -> ThrottleRejection {
        let (error, retry_after) = match error {
            Error::Config(error) => return Misconfigured::from(error).into(),
            Error::Raised(error) => return Raised::new(error, self.clone()).into(),
            Error::Backend(error) => (Arc::new(error), Unavailable::RETRY_AFTER),
            Error::Refused { error, retry_after } => (error, retry_after),
        };
        Unavailable::new(error, retry_after, definitions, self.clone()).into()
    }
}
