//! The place where a request meets its throttles: in front of a handler, or in a layer, which may have rules of its
//! own.

use std::{
    any::{TypeId, type_name},
    sync::Arc,
};

use axum::{http::request::Parts, response::IntoResponse};
use parking_lot::Mutex;
use traffik_core::{EXEMPTED, backend::MaybeReady, client::Client};

use super::rejection::{ThrottleRejection, Unidentified};
use crate::{
    engine::Traffik,
    limit::{ByUid, ConfigError, Definition, Throttle, Throttles, changes::LiveLimit},
    request::{Applies, RefundIf, Source, is_preflight},
};

/// The place where a request meets its throttles.
#[derive(Clone, Debug)]
pub(crate) enum Site {
    /// In front of a handler.
    Handler,
    /// In a layer around something.
    Layer(LayerRules),
    /// In an open WebSocket, whose clients are known by their source.
    #[cfg(feature = "ws")]
    Messages(Arc<[(Source, Client)]>),
    /// In a [`Limiter`](super::Limiter) of a handler, which may set the client and the cost itself. Keeps why the client is not
    /// known.
    Limiter(KeptRejection),
}

impl Site {
    /// Returns whether a throttle applies to a request here, by the rules of the layer, by its own, and by those that were added
    /// since. Rules that need no waiting decide if they can.
    #[inline]
    pub(super) fn applies<'p>(
        &'p self,
        definition: &'p Definition,
        live: Option<&'p LiveLimit>,
        traffik: &'p Traffik,
        parts: &'p Parts,
    ) -> MaybeReady<'p, bool> {
        let by = || traffik.address_by(definition);
        let declared = || definition.settings.request.applies.to(parts, by);
        let own = || match live.and_then(LiveLimit::rules) {
            Some(added) => both(added.to(parts, by), declared),
            None => declared(),
        };
        match self {
            // The throttle's own functions are not called for requests that the layer excludes.
            Self::Layer(rules) => both(rules.apply(definition, traffik, parts), own),
            _ => own(),
        }
    }

    /// Returns the client that this source has already identified here.
    #[inline]
    pub(super) fn known_client(&self, source: Source) -> Option<Client> {
        match self {
            #[cfg(feature = "ws")]
            Self::Messages(clients) => {
                clients.iter().find(|(known, _)| *known == source).map(|(_, client)| client.clone())
            }
            _ => {
                let _ = source;
                None
            }
        }
    }

    /// Returns whether the cost and the client may be set later.
    #[inline]
    pub(super) fn is_limiter(&self) -> bool {
        matches!(self, Self::Limiter(_))
    }

    /// Keeps the rejection of an identity, and returns the client until another one is set. Elsewhere it is an error.
    #[cold]
    pub(super) fn keep(&self, identity: Source, rejection: ThrottleRejection) -> Result<Client, ThrottleRejection> {
        let Self::Limiter(kept) = self else { return Err(rejection) };
        kept.keep(identity, rejection);
        Ok(EXEMPTED)
    }

    /// Returns the conditions under which this place refunds a throttle, if it has any.
    pub(super) fn refund_if(&self, definition: &Definition) -> Option<&RefundIf> {
        let Self::Layer(rules) = self else { return None };
        Some(&rules.of(definition.type_id)?.refund_if).filter(|refund_if| !refund_if.is_never())
    }

    /// Returns whether charges of a throttle may be refunded by the response.
    #[inline]
    pub(super) fn may_refund(&self, definition: &Definition) -> bool {
        !definition.settings.request.refund_if.is_never() || self.refund_if(definition).is_some()
    }

    /// Returns an error in the setup of this place.
    #[inline]
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Layer(LayerRules(Some(layer))) => layer.error.clone().map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }
}

/// Returns whether both are true. The second one is evaluated only if it may decide.
#[inline]
fn both<'p>(one: MaybeReady<'p, bool>, other: impl FnOnce() -> MaybeReady<'p, bool>) -> MaybeReady<'p, bool> {
    match one {
        MaybeReady::Ready(false) => MaybeReady::Ready(false),
        MaybeReady::Ready(true) => other(),
        one => match other() {
            MaybeReady::Ready(false) => MaybeReady::Ready(false),
            MaybeReady::Ready(true) => one,
            other => MaybeReady::pending(async move { one.await && other.await }),
        },
    }
}

/// The rules that a layer has for its throttles. As a rule there are none.
#[derive(Clone, Debug, Default)]
pub(crate) struct LayerRules(Option<Arc<Rules>>);

#[derive(Clone, Debug, Default)]
struct Rules {
    of: Vec<ThrottleRules>,
    error: Option<ConfigError>,
}

/// What a layer adds to one throttle, or to all limits that are values.
#[derive(Clone, Debug)]
pub(super) struct ThrottleRules {
    throttle: TypeId,
    pub(super) applies: Applies,
    pub(super) refund_if: RefundIf,
}

impl LayerRules {
    /// Adds to the throttle `T` of the tuple `All`.
    pub(super) fn add<All: Throttles, T: Throttle>(&mut self, add: impl FnOnce(&mut ThrottleRules)) {
        self.add_for::<All>(T::UID, type_name::<T>(), TypeId::of::<T>(), add);
    }

    /// Adds to all limits of a layer of limits that are values.
    pub(super) fn add_to_all(&mut self, add: impl FnOnce(&mut ThrottleRules)) {
        self.add_for::<ByUid>("limit_layer", "limit_layer", TypeId::of::<ByUid>(), add);
    }

    fn add_for<All: Throttles>(
        &mut self,
        uid: &str,
        throttle: &str,
        type_id: TypeId,
        add: impl FnOnce(&mut ThrottleRules),
    ) {
        let Rules { of, error } = Arc::make_mut(self.0.get_or_insert_default());
        let at = of.iter().position(|rules| rules.throttle == type_id).unwrap_or(of.len());
        if at == of.len() {
            of.push(ThrottleRules { throttle: type_id, applies: Applies::default(), refund_if: RefundIf::default() });
        }
        let Some(rules) = of.get_mut(at) else { return };
        add(rules);
        let found = match rules.applies.check() {
            Err(source) => Err(ConfigError::Rule { uid: uid.into(), throttle: throttle.into(), source }),
            Ok(()) if !All::include(type_id) => Err(ConfigError::NotInLayer {
                uid: uid.into(),
                throttle: throttle.into(),
                layer: type_name::<All>().into(),
            }),
            Ok(()) => Ok(()),
        };
        if let Err(wrong) = found {
            tracing::error!("{wrong}");
            error.get_or_insert(wrong);
        }
    }

    fn of(&self, type_id: TypeId) -> Option<&ThrottleRules> {
        self.0.as_ref()?.of.iter().find(|rules| rules.throttle == type_id)
    }

    /// Returns whether a throttle applies by the rules of its layer.
    fn apply<'p>(&'p self, definition: &'p Definition, traffik: &'p Traffik, parts: &'p Parts) -> MaybeReady<'p, bool> {
        if is_preflight(parts)
            && !definition.settings.request.charge_preflights
            && !traffik.requests().charge_preflights
        {
            return MaybeReady::Ready(false);
        }
        self.of(definition.type_id)
            .map_or(MaybeReady::Ready(true), |rules| rules.applies.to(parts, || traffik.address_by(definition)))
    }
}

/// Why a limiter has no client, for each identity.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeptRejection(Arc<Mutex<Vec<(Source, ThrottleRejection)>>>);

impl KeptRejection {
    fn keep(&self, identity: Source, rejection: ThrottleRejection) {
        self.0.lock().push((identity, rejection));
    }

    /// Returns the rejection by an identity. A clone that asks later receives one with the same status.
    pub(super) fn take(&self, identity: Source) -> Option<ThrottleRejection> {
        let mut kept = self.0.lock();
        let (_, rejection) = kept.iter_mut().find(|(by, _)| *by == identity)?;
        let status = rejection.status();
        Some(std::mem::replace(rejection, Unidentified::new(status.into_response()).into()))
    }
}
