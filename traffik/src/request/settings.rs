use std::{any::Any, fmt, sync::Arc};

use super::{
    client_ip::warn_of_trust, cost::CostOf, function::Source, identity::Identity, rate::RateOf, rules::Applies,
};
use crate::warning::WarningLog;

/// What a throttle asks about a request, and answers to a refused one.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestSettings {
    pub(crate) cost: Option<CostOf>,
    pub(crate) identity: Option<Identity>,
    pub(crate) rate: Option<RateOf>,
    pub(crate) responder: Option<ErasedResponder>,
    pub(crate) charge_preflights: bool,
    pub(crate) applies: Applies,
}

/// A responder, whose type only the modules above know.
#[derive(Clone)]
pub(crate) struct ErasedResponder(pub(crate) Arc<dyn Any + Send + Sync>);

impl RequestSettings {
    /// Where clients are identified: by these settings, or by the extractor `I`.
    pub(crate) fn identity_source<I: 'static>(&self) -> Source {
        self.identity.as_ref().map_or(Source::extractor::<I>(), Identity::source)
    }

    /// Warns of an identity that trusts every address.
    pub(crate) fn warn(&self, uid: &'static str, warnings: &WarningLog) {
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
