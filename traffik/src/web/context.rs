use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{Extensions, request::Parts},
};

use super::{
    ledger::Ledger,
    rejection::{Limited, Misconfigured, Raised, ThrottleRejection, Unavailable},
};
use crate::engine::{Error, Failed, Limits, Traffik};

/// What a request carries: the handle, and the limits that it met so far. It is the only extension of a request.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct RequestContext {
    ledger: Arc<Ledger>,
    /// The handle, if it is not the ledger's.
    inner: Option<Traffik>,
}

impl RequestContext {
    /// Puts the handle of a layer into a request. Returns the ledger to the outermost layer, which completes the response.
    pub(super) fn enter(extensions: &mut Extensions, traffik: &Traffik) -> Option<Arc<Ledger>> {
        if let Some(context) = extensions.get_mut::<Self>() {
            context.set_handle(traffik);
            return context.ledger.watch().then(|| Arc::clone(&context.ledger));
        }
        let ledger = Arc::new(Ledger::new(traffik.clone(), true));
        extensions.insert(Self { ledger: Arc::clone(&ledger), inner: None });
        Some(ledger)
    }

    /// Returns the context of a request. Where there is no layer, the handle comes from an `Extension`.
    pub(super) fn of(parts: &mut Parts) -> Result<Self, Misconfigured> {
        if let Some(context) = parts.extensions.get::<Self>() {
            let mut context = context.clone();
            if let (false, Some(traffik)) = (context.ledger.is_watched(), parts.extensions.get::<Traffik>()) {
                context.set_handle(traffik);
            }
            return Ok(context);
        }
        let traffik = parts.extensions.get::<Traffik>().ok_or_else(Misconfigured::no_state)?;
        let context = Self { ledger: Arc::new(Ledger::new(traffik.clone(), false)), inner: None };
        parts.extensions.insert(context.clone());
        Ok(context)
    }

    /// Returns the handle that a request carries.
    pub(super) fn handle(extensions: &Extensions) -> Option<&Traffik> {
        let context = extensions.get::<Self>().filter(|context| context.ledger.is_watched());
        context.map(Self::traffik).or_else(|| extensions.get())
    }

    /// Returns whether a layer waits for the response of a request.
    pub(super) fn is_watched(extensions: &Extensions) -> bool {
        extensions.get::<Self>().is_some_and(|context| context.ledger.is_watched())
    }

    fn set_handle(&mut self, traffik: &Traffik) {
        self.inner = (!traffik.is(self.ledger.traffik())).then(|| traffik.clone());
    }

    pub(super) fn traffik(&self) -> &Traffik {
        self.inner.as_ref().unwrap_or(self.ledger.traffik())
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Records the limits of a decision.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request that was refused, or about which there is no decision.
    pub(super) fn record(&self, decided: Result<Limits, Box<Failed>>) -> Result<Limits, ThrottleRejection> {
        let limits = decided.map_err(|failed| self.reject(*failed))?;
        self.ledger.record(&limits);
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

/// Extracts the handle of the innermost [`Traffik::layer`], or of an `axum::Extension` where there is no such layer.
impl<S: Sync> FromRequestParts<S> for Traffik {
    type Rejection = Misconfigured;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Misconfigured> {
        RequestContext::handle(&parts.extensions).cloned().ok_or_else(Misconfigured::no_state)
    }
}
