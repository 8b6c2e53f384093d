use std::any::{TypeId, type_name};

use thiserror::Error;

use super::{Declared, Settings, Throttle, uid};
use crate::{
    rate::Rate,
    strategy::{Strategy, StrategyError},
};

/// A throttle as values: what its type says, checked.
#[derive(Debug)]
pub struct Definition {
    pub(crate) type_id: TypeId,
    /// What errors call it.
    pub(crate) name: &'static str,
    pub(crate) uid: &'static str,
    pub(crate) rate: Rate,
    pub(crate) settings: Settings,
    /// What all responses say of it.
    #[cfg(feature = "axum")]
    pub(crate) items: crate::web::Items,
}

impl Definition {
    pub(crate) fn of<T: Throttle>() -> Result<Self, ConfigError> {
        const { uid::check(T::UID) };
        let type_id = TypeId::of::<T>();
        let definition = Self {
            type_id,
            name: Declared::name_of(type_id).unwrap_or(type_name::<T>()),
            uid: T::UID,
            rate: const { T::RATE },
            settings: T::settings(),
            #[cfg(feature = "axum")]
            items: crate::web::Items::new(T::UID, T::RATE),
        };
        definition.check()?;
        #[cfg(feature = "axum")]
        definition.settings.web.check::<T>(definition.name)?;
        Ok(definition)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.rate.is_unlimited() {
            return Ok(());
        }
        let strategy = &self.settings.strategy;
        strategy.check(self.rate).map_err(|source| ConfigError::Strategy {
            uid: self.uid,
            throttle: self.name,
            source,
        })?;
        let (cost, capacity) = (self.settings.cost, strategy.capacity(self.rate));
        if cost > capacity {
            tracing::warn!(
                uid = self.uid,
                cost,
                capacity,
                "every request costs more than this throttle can ever admit"
            );
        }
        Ok(())
    }
}

/// A throttle or an app that is set up wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Two throttles have one uid.
    #[error(
        "the throttles {first} and {second} have the same uid {uid:?}: give one of them another, or use one type in \
         both places to share the limit (a test binary that builds many apps may allow it with \
         `Traffik::builder(..).allow_duplicate_uids()`)"
    )]
    DuplicateUid {
        /// The uid.
        uid: &'static str,
        /// The throttle that was known first, with its place in the source where a macro declared it.
        first: &'static str,
        /// The throttle that came later, likewise.
        second: &'static str,
    },
    /// The strategy of a throttle does not go with its rate.
    #[error("the throttle `{throttle}` (uid {uid:?}) cannot work: {source}")]
    Strategy {
        /// The uid.
        uid: &'static str,
        /// The throttle.
        throttle: &'static str,
        /// What is out of bounds.
        source: StrategyError,
    },
    /// A throttle says twice what names its clients.
    #[error(
        "the throttle `{throttle}` (uid {uid:?}) names its client twice: by its type `Identity` and by an identifier in its \
         settings. Make the type `DefaultIdentity`, or leave the identifier out"
    )]
    TwoIdentities {
        /// The uid.
        uid: &'static str,
        /// The throttle.
        throttle: &'static str,
    },
}

impl ConfigError {
    pub(crate) fn duplicate(uid: &'static str, first: &'static str, second: &'static str) -> Self {
        Self::DuplicateUid { uid, first, second }
    }
}
