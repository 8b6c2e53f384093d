use traffik_core::{rate::Rate, strategy::AnyStrategy};

use super::{Settings, Throttle};

/// A throttle as it is declared, without what an app adds.
pub(crate) struct Declaration {
    pub(crate) uid: &'static str,
    pub(crate) rate: Rate,
    pub(crate) settings: Settings,
}

impl Declaration {
    pub(crate) fn of<T: Throttle>() -> Self {
        Self { uid: T::UID, rate: T::RATE, settings: T::settings() }
    }

    /// Returns whether the limit is on concurrent requests.
    pub(crate) fn is_held(&self) -> bool {
        matches!(self.settings.strategy, AnyStrategy::Concurrency(_))
    }
}
