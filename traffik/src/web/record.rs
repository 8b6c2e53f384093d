//! Records a decision in the ledger of its request.

use std::sync::Arc;

use axum::http::request::Parts;

use super::{
    RequestContext, Site,
    rejection::{Limited, Misconfigured, Raised, ThrottleRejection, Unavailable},
};
use crate::{
    engine::{CheckResult, Checks, Error, Failed, Limits},
    limit::{ConfigError, Definition},
};

impl RequestContext {
    /// Records the limits of a decision.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request that was refused or could not be decided.
    pub(super) fn record(&self, decided: CheckResult, site: &Site, parts: &Parts) -> Result<Limits, ThrottleRejection> {
        let limits = decided.map_err(|failed| self.failed(*failed, Some(parts)))?;
        self.ledger().record(&limits, |definition| site.refund_if(definition));
        limits.observe(Some(parts));
        self.admitted(limits)
    }

    /// Records the limits of a check that a handler made.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request that was refused or could not be decided.
    pub(super) fn record_check(
        &self,
        decided: CheckResult,
        parts: Option<&Parts>,
    ) -> Result<Limits, ThrottleRejection> {
        let limits = decided.map_err(|failed| self.failed(*failed, parts))?;
        self.ledger().record_check(&limits);
        limits.observe(parts);
        self.admitted(limits)
    }

    fn admitted(&self, limits: Limits) -> Result<Limits, ThrottleRejection> {
        if limits.is_admitted() { Ok(limits) } else { Err(Limited::new(limits, self.clone()).into()) }
    }

    /// Returns the limits of checks, and charges nothing.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request about which the backend gives no answer.
    pub(super) async fn peek(&self, checks: Checks<'_>) -> Result<Limits, ThrottleRejection> {
        let definitions = checks.iter().map(|check| Arc::clone(check.definition)).collect();
        self.traffik().look(checks).await.map_err(|error| self.reject(error, definitions))
    }

    /// Checks whether the response can refund the throttles that it may have to.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request whose response does not pass the layer.
    #[inline]
    pub(super) fn check_refunds(&self, checks: &Checks<'_>, site: &Site) -> Result<(), ThrottleRejection> {
        match checks.iter().find(|check| site.may_refund(check.definition)) {
            Some(check) => self.check_refund(check.definition).map_err(|error| Misconfigured::from(error).into()),
            None => Ok(()),
        }
    }

    #[cold]
    fn check_refund(&self, definition: &Definition) -> Result<(), ConfigError> {
        if !self.ledger().is_watched() {
            return Err(definition
                .refund_if("the response passes no `traffik.layer()`: add it to the router, after the routes"));
        }
        definition.check_refunds()
    }

    #[cold]
    fn failed(&self, failed: Failed, parts: Option<&Parts>) -> ThrottleRejection {
        failed.observe(parts);
        let definitions = failed.definitions();
        self.reject(failed.error, definitions)
    }

    #[cold]
    fn reject(&self, error: Error, definitions: Vec<Arc<Definition>>) -> ThrottleRejection {
        let (error, retry_after) = match error {
            Error::Config(error) => return Misconfigured::from(error).into(),
            Error::Raised(error) => return Raised::new(error, self.clone()).into(),
            Error::Backend(error) => (Arc::new(error), Unavailable::RETRY_AFTER),
            Error::Refused { error, retry_after } => (error, retry_after),
        };
        Unavailable::new(error, retry_after, definitions, self.clone()).into()
    }
}
