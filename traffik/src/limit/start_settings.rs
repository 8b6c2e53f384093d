use std::collections::HashMap;

use traffik_core::strategy::AnyStrategy;

use super::{error::ConfigError, limits_file_error::Place, penalty::PenaltySettings, settings::Settings};

/// What a limits file set when the app was built and stays until the app ends, by uid.
#[derive(Debug, Default)]
pub(crate) struct StartSettings(HashMap<Box<str>, OfLimit>);

/// The settings of one limit, each with its place in the file.
#[derive(Debug, Default)]
pub(super) struct OfLimit {
    pub(super) strategy: Option<(AnyStrategy, Place)>,
    pub(super) penalty: Option<(PenaltySettings, Place)>,
}

impl StartSettings {
    pub(super) fn new(all: impl IntoIterator<Item = (Box<str>, OfLimit)>) -> Self {
        Self(all.into_iter().collect())
    }

    /// Adds them to the settings of the throttle with this uid.
    pub(super) fn add_to(&self, uid: &str, settings: &mut Settings) {
        let Some(of) = self.0.get(uid) else { return };
        if let Some((strategy, _)) = &of.strategy {
            settings.strategy = strategy.clone();
        }
        if let Some((penalty, _)) = &of.penalty {
            settings.penalty = Some(*penalty);
        }
    }

    /// Returns each setting as its uid and the name of its key.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.0.iter().flat_map(|(uid, of)| {
            let strategy = of.strategy.as_ref().map(|_| (&**uid, "strategy"));
            strategy.into_iter().chain(of.penalty.as_ref().map(|_| (&**uid, "penalty")))
        })
    }

    /// Returns the error of a throttle, with the place in the file if the file has a part in it.
    pub(super) fn error(&self, uid: &str, error: ConfigError) -> ConfigError {
        let places = self.0.get(uid).map(|of| {
            let strategy = of.strategy.as_ref().map(|(_, place)| place);
            (strategy, of.penalty.as_ref().map(|(_, place)| place))
        });
        let place = places.and_then(|(strategy, penalty)| match &error {
            // Those that depend on the backends of the app, and not on its settings.
            error if error.warning().is_some() => None,
            ConfigError::Setting { .. } => penalty,
            _ => strategy,
        });
        match place {
            Some(place) => place.clone().error(error).into(),
            None => error,
        }
    }
}
