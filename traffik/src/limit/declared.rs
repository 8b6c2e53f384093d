use std::any::TypeId;

use super::{ConfigError, Definition, Throttle, ThrottleTable, known::KnownThrottle};

/// A throttle that a macro declares.
#[derive(Debug)]
pub struct DeclaredThrottle {
    name: &'static str,
    type_id: fn() -> TypeId,
    find: Lookup,
}

/// Several throttles that a macro puts on one handler, to be one decision.
#[derive(Debug)]
pub struct SameBackend(&'static [Lookup]);

/// Finds a throttle in the list of an app.
pub type Lookup = fn(&ThrottleTable) -> &KnownThrottle;

inventory::collect!(DeclaredThrottle);
inventory::collect!(SameBackend);

impl DeclaredThrottle {
    /// The throttle `T`. Errors call it by `name`, which ends with file, line and column.
    #[must_use]
    pub const fn new<T: Throttle>(name: &'static str) -> Self {
        Self { name, type_id: TypeId::of::<T>, find: ThrottleTable::find::<T> }
    }

    /// Returns what errors call a throttle that a macro declares.
    pub(super) fn name_of(type_id: TypeId) -> Option<&'static str> {
        Self::all().find(|declared| (declared.type_id)() == type_id).map(|declared| declared.name)
    }

    /// Adds each to the list of an app.
    pub(super) fn add_all(table: &ThrottleTable) {
        for declared in Self::all() {
            (declared.find)(table);
        }
    }

    fn all() -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Self>.into_iter()
    }
}

impl SameBackend {
    /// All of these.
    #[must_use]
    pub const fn new(throttles: &'static [Lookup]) -> Self {
        Self(throttles)
    }

    /// Returns an error for each handler whose throttles are kept in different backends. The throttles are added to the list
    /// of the app.
    pub(super) fn errors(table: &ThrottleTable) -> impl Iterator<Item = ConfigError> {
        inventory::iter::<Self>.into_iter().filter_map(|handler| {
            let known: Vec<_> = handler.0.iter().map(|find| find(table)).collect();
            // A throttle without a definition has an error of its own.
            let definitions: Vec<_> = known.iter().filter_map(|known| known.definition().ok()).collect();
            Definition::store_of_all(definitions.into_iter()).err()
        })
    }
}
