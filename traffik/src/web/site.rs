//! Where a request meets its throttles: in front of a handler, or in a layer, which may have rules of its own.

use std::{
    any::{TypeId, type_name},
    sync::Arc,
};

use axum::http::request::Parts;

use super::rules::{Applies, Bypass, Rule, is_preflight};
use crate::{
    engine::Traffik,
    limit::{ConfigError, Definition, Throttle, Throttles},
};

/// Where a request meets its throttles.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In front of a handler.
    Handler,
    /// In a layer around something.
    Layer(LayerRules),
}

impl Place {
    /// Whether it is known without waiting to which requests a throttle applies here.
    pub(super) fn is_at_once(&self, definition: &Definition) -> bool {
        match self {
            Self::Handler => true,
            Self::Layer(rules) => rules.of(definition.type_id).is_none_or(Applies::is_at_once),
        }
    }

    /// An error for what was set up wrong here.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Layer(LayerRules(Some(layer))) => layer.error.clone().map_or(Ok(()), Err),
            _ => Ok(()),
        }
    }
}

/// The rules that a layer has for its throttles. As a rule there are none.
#[derive(Clone, Debug, Default)]
pub(super) struct LayerRules(Option<Arc<Rules>>);

#[derive(Clone, Debug, Default)]
struct Rules {
    of: Vec<(TypeId, Applies)>,
    error: Option<ConfigError>,
}

impl LayerRules {
    /// Adds a rule to the throttle `T` where `All` are together.
    pub(super) fn add_rule<All: Throttles, T: Throttle>(&mut self, rule: Rule) {
        self.add::<All, T>(|applies| applies.add_rule(rule));
    }

    /// Adds a bypass, likewise.
    pub(super) fn add_bypass<All: Throttles, T: Throttle>(&mut self, bypass: Bypass) {
        self.add::<All, T>(|applies| applies.add_bypass(bypass));
    }

    fn add<All: Throttles, T: Throttle>(&mut self, add: impl FnOnce(&mut Applies)) {
        let (uid, throttle, type_id) = (T::UID, type_name::<T>(), TypeId::of::<T>());
        let Rules { of, error } = Arc::make_mut(self.0.get_or_insert_default());
        let at = of.iter().position(|(of, _)| *of == type_id).unwrap_or(of.len());
        if at == of.len() {
            of.push((type_id, Applies::default()));
        }
        let Some((_, applies)) = of.get_mut(at) else { return };
        add(applies);
        let found = match applies.check() {
            Err(source) => Err(ConfigError::Rule { uid, throttle, source }),
            Ok(()) if !All::include(type_id) => {
                Err(ConfigError::NotInLayer { uid, throttle, layer: type_name::<All>() })
            }
            Ok(()) => Ok(()),
        };
        if let Err(wrong) = found {
            tracing::error!("{wrong}");
            error.get_or_insert(wrong);
        }
    }

    fn of(&self, type_id: TypeId) -> Option<&Applies> {
        let of = &self.0.as_ref()?.of;
        of.iter().find(|(of, _)| *of == type_id).map(|(_, applies)| applies)
    }

    /// Whether a throttle applies as far as its layer is concerned, if that is known without waiting.
    pub(super) fn let_apply_now(&self, definition: &Definition, traffik: &Traffik, parts: &Parts) -> Option<bool> {
        if is_preflight(parts) && !definition.settings.web.charge_preflights && !traffik.web().charge_preflights {
            return Some(false);
        }
        self.of(definition.type_id).map_or(Some(true), |applies| applies.to_now(parts))
    }

    /// The same for a request that is no preflight, or one that is charged.
    pub(super) async fn let_apply(&self, definition: &Definition, parts: &Parts) -> bool {
        match self.of(definition.type_id) {
            Some(applies) => applies.to(parts).await,
            None => true,
        }
    }
}
