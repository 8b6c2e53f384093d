//! The extension that a request carries.

use axum::http::{Extensions, request::Parts};
use triomphe::Arc;

use super::ledger::Ledger;
use crate::{
    engine::{Limits, Traffik},
    limit::{
        Definition,
        changes::{Live, LiveLimit},
    },
};

/// The extension that a request carries: the handle, and the limits that the request met so far.
#[derive(Clone, Debug)]
pub(crate) struct RequestContext {
    ledger: Arc<Ledger>,
    /// The handle, if it differs from the ledger's.
    inner: Option<Traffik>,
    /// The changes of the app that a decision uses. `None` if nothing is changed, and in the extension.
    live: Option<std::sync::Arc<Live>>,
}

impl RequestContext {
    /// Puts the handle of a layer into a request. Returns the ledger to the outermost layer, which completes the response.
    pub(super) fn enter(extensions: &mut Extensions, traffik: &Traffik, exposes: bool) -> Option<Arc<Ledger>> {
        let ledger = Self::enter_ledger(extensions, traffik);
        if exposes {
            Self::expose(extensions);
        }
        ledger
    }

    #[inline]
    fn enter_ledger(extensions: &mut Extensions, traffik: &Traffik) -> Option<Arc<Ledger>> {
        if let Some(context) = extensions.get_mut::<Self>() {
            context.set_handle(traffik);
            return context.ledger.watch().then(|| Arc::clone(&context.ledger));
        }
        let ledger = Arc::new(Ledger::new(traffik.clone(), true));
        extensions.insert(Self { ledger: Arc::clone(&ledger), inner: None, live: None });
        Some(ledger)
    }

    #[cold]
    fn expose(extensions: &Extensions) {
        if let Some(context) = extensions.get::<Self>() {
            context.ledger.expose();
        }
    }

    /// Returns the limits that a request met, if there are any.
    pub(super) fn limits(extensions: &Extensions) -> Option<Limits> {
        extensions.get::<Self>()?.ledger.snapshot()
    }

    /// Returns the context of a request. Without a layer, the handle comes from an `Extension`. Returns `None` if there
    /// is no handle.
    pub(super) fn of(parts: &mut Parts) -> Option<Self> {
        if let Some(context) = parts.extensions.get::<Self>() {
            let mut context = context.clone();
            if let (false, Some(traffik)) = (context.ledger.is_watched(), parts.extensions.get::<Traffik>()) {
                context.set_handle(traffik);
            }
            return Some(context.with_latest_changes());
        }
        let traffik = parts.extensions.get::<Traffik>()?;
        let context = Self { ledger: Arc::new(Ledger::new(traffik.clone(), false)), inner: None, live: None };
        parts.extensions.insert(context.clone());
        Some(context.with_latest_changes())
    }

    /// Returns a context of its own for a copy of a request, and the copy, which outlives the request.
    #[cfg(feature = "ws")]
    pub(super) fn of_copy(parts: &Parts, traffik: &Traffik) -> (Self, Parts) {
        let mut parts = parts.clone();
        let context = Self { ledger: Arc::new(Ledger::new(traffik.clone(), true)), inner: None, live: None };
        parts.extensions.insert(context.clone());
        (context, parts)
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

    /// Takes one snapshot of the changes of the app, for one decision.
    #[inline]
    pub(super) fn with_latest_changes(mut self) -> Self {
        self.live = self.traffik().changes().live();
        self
    }

    /// Returns the snapshot of the changes. `None` if nothing is changed.
    #[inline]
    pub(super) fn live(&self) -> Option<&Live> {
        self.live.as_deref()
    }

    /// Returns what is changed of a throttle.
    #[inline]
    pub(super) fn live_of(&self, definition: &Definition) -> Option<&LiveLimit> {
        self.live().map(|live| live.of(&definition.uid))
    }
}
