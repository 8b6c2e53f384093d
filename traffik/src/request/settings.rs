use std::{any::Any, fmt, sync::Arc};

use super::{
    backend::BackendOf, client_ip::warn_of_trust, cost::CostOf, denied::Denied, fields::Fields, function::Source,
    identity::Identity, rate::RateOf, refund_if::RefundIf, rules::Applies,
};
use crate::warning::WarningLog;

/// The settings of a throttle that depend on the request, and its responder.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestSettings {
    pub(crate) cost: Option<CostOf>,
    pub(crate) identity: Option<Identity>,
    pub(crate) rate: Option<RateOf>,
    pub(crate) backend: Option<BackendOf>,
    pub(crate) responder: Option<ErasedResponder>,
    pub(crate) charge_preflights: bool,
    pub(crate) applies: Applies,
    pub(crate) refund_if: RefundIf,
    pub(crate) denied: Denied,
    /// The fields that show the limit. `None` for the app's setting.
    pub(crate) fields: Option<Fields>,
    /// Whether no response shows the limit.
    pub(crate) is_hidden: bool,
    pub(crate) refuses_with_503: bool,
    /// Whether the throttle counts requests and rejects none.
    pub(crate) is_dry_run: bool,
    /// How the app responds. Its fields are those of the throttle, if it has its own.
    pub(crate) responses: Responses,
}

/// How an app responds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Responses {
    pub(crate) responder: Option<ErasedResponder>,
    pub(crate) fields: Fields,
}

/// A responder, whose type only the module `web` knows.
#[derive(Clone)]
pub(crate) struct ErasedResponder(pub(crate) Arc<dyn Any + Send + Sync>);

impl RequestSettings {
    /// Returns the source of the client: these settings, or the extractor `I`.
    pub(crate) fn identity_source<I: 'static>(&self) -> Source {
        self.identity.as_ref().map_or(Source::extractor::<I>(), Identity::source)
    }

    /// Returns `true` if the rules, the cost or the rate are functions of the request.
    #[cfg(feature = "ws")]
    pub(crate) fn has_functions(&self) -> bool {
        !self.applies.is_empty() || self.cost.is_some() || self.rate.is_some()
    }

    /// Warns about an identity that trusts every address.
    pub(crate) fn warn(&self, uid: &str, warnings: &WarningLog) {
        if let Some(client_ip) = self.identity.as_ref().and_then(Identity::client_ip) {
            warn_of_trust(client_ip, Some(uid), warnings);
        }
    }
}

impl fmt::Debug for ErasedResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder(..)")
    }
}
