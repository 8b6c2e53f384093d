use std::{
    any::TypeId,
    sync::{Arc, OnceLock},
};

use super::{ConfigError, Definition, Throttle};

/// How an app came to know a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum KnownBy {
    /// A macro declares it, anywhere in the program. The app may not use it.
    Declared,
    /// The app registered it.
    Registered,
    /// A request, a layer or a check used it.
    Met,
    /// The app added it as a value: [`Traffik::add_limit`](crate::Traffik::add_limit).
    Added,
    /// The limits file makes it. Requires the feature `file`.
    File,
}

/// A throttle in the list of an app.
#[derive(Debug)]
pub struct KnownThrottle {
    pub(super) type_id: TypeId,
    pub(super) uid: &'static str,
    pub(super) name: &'static str,
    /// Empty until the settings were evaluated, which runs code of the app.
    definition: OnceLock<Result<Arc<Definition>, ConfigError>>,
    /// How the app uses the throttle. Empty while the throttle is only declared.
    used: OnceLock<KnownBy>,
}

impl KnownThrottle {
    pub(super) fn new<T: Throttle>(name: &'static str) -> Self {
        let (definition, used) = (OnceLock::new(), OnceLock::new());
        Self { type_id: TypeId::of::<T>(), uid: T::UID, name, definition, used }
    }

    /// Returns the definition. The first caller makes it, and others wait for it.
    pub(super) fn define(
        &self,
        define: impl FnOnce() -> Result<Definition, ConfigError>,
    ) -> Result<&Arc<Definition>, ConfigError> {
        self.definition.get_or_init(|| define().map(Arc::new)).as_ref().map_err(ConfigError::clone)
    }

    /// Returns the definition, or `None` while it is not made.
    pub(super) fn definition(&self) -> Option<Result<&Arc<Definition>, &ConfigError>> {
        self.definition.get().map(Result::as_ref)
    }

    pub(super) fn known_by(&self) -> KnownBy {
        self.used.get().copied().unwrap_or(KnownBy::Declared)
    }

    /// Returns whether the app registered or used the throttle.
    #[inline]
    pub(super) fn is_used(&self) -> bool {
        self.known_by() != KnownBy::Declared
    }

    /// Records the first use.
    pub(super) fn set_used(&self, known_by: KnownBy) {
        self.used.get_or_init(|| known_by);
    }

    /// Returns whether both are one declaration, compiled twice into a program: into the library and the binary of a
    /// package, which differ in the name of the crate alone.
    pub(super) fn is_same_source(&self, other: &Self) -> bool {
        self.path_within_crate() == other.path_within_crate()
    }

    /// Returns the name without the crate. A macro adds the place in the source.
    pub(super) fn path_within_crate(&self) -> &'static str {
        self.name.split_once("::").map_or(self.name, |(_, path)| path)
    }
}
