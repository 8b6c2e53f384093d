//! The throttles that macros declare, in whatever crate of the program. They are known before `main` runs, and so are
//! two of them with one uid.
//!
//! Where the platform has no way to collect them there are none here, and two of one uid are found when they are used.

use std::{any::TypeId, sync::Arc};

use super::{ConfigError, Definition, Throttle};
use crate::limit::Registry;

/// What a macro tells of a throttle that it declares.
#[derive(Debug)]
pub struct Declared {
    uid: &'static str,
    name: &'static str,
    place: &'static str,
    type_id: fn() -> TypeId,
    find: Find,
}

/// Several throttles that a macro puts on one handler, to be one decision.
#[derive(Debug)]
pub struct Together(&'static [Find]);

/// Finds what a throttle is in an app.
pub type Find = fn(&Registry) -> Result<&Arc<Definition>, ConfigError>;

inventory::collect!(Declared);
inventory::collect!(Together);

impl Declared {
    /// The throttle `T`. `name` is what errors call it; `place` is file, line and column.
    #[must_use]
    pub const fn new<T: Throttle>(name: &'static str, place: &'static str) -> Self {
        Self { uid: T::UID, name, place, type_id: TypeId::of::<T>, find: Registry::get::<T> }
    }

    /// What errors call a throttle that a macro declared.
    pub(super) fn name_of(type_id: TypeId) -> Option<&'static str> {
        Self::all().find(|declared| (declared.type_id)() == type_id).map(|declared| declared.name)
    }

    /// The uid of each.
    pub(crate) fn uids() -> impl Iterator<Item = &'static str> {
        Self::all().map(|declared| declared.uid)
    }

    /// An error for the first that is set up wrong, by itself or together with others of its handler.
    pub(crate) fn check_each(registry: &Registry) -> Result<(), ConfigError> {
        Self::all().try_for_each(|declared| (declared.find)(registry).map(drop))?;
        inventory::iter::<Together>.into_iter().try_for_each(|together| together.check(registry))
    }

    /// Whether both are one declaration, which is compiled into a program twice, say into a library and a binary of one
    /// package: then they differ in the name of the crate alone. A macro may declare several in one place.
    fn is(&self, other: &Self) -> bool {
        let within_crate = |declared: &Self| declared.name.split_once("::").map(|(_, path)| path);
        self.place == other.place && within_crate(self) == within_crate(other)
    }

    fn all() -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Self>.into_iter()
    }

    /// An error for each two that have one uid.
    pub(crate) fn duplicates() -> Vec<ConfigError> {
        let mut all: Vec<_> = Self::all().collect();
        // They come in no order.
        all.sort_unstable_by_key(|declared| (declared.uid, declared.place, declared.name));
        let pairs = all.iter().zip(all.iter().skip(1));
        let duplicates = pairs.filter(|(one, next)| one.uid == next.uid && !one.is(next));
        duplicates.map(|(one, next)| ConfigError::duplicate(one.uid, one.name, next.name)).collect()
    }

    /// An error if the throttle is written by hand and has the uid of one that is declared.
    pub(crate) fn check(new: &Definition) -> Result<(), ConfigError> {
        let mut same_uid = Self::all().filter(|declared| declared.uid == new.uid).peekable();
        match same_uid.peek().copied() {
            Some(first) if same_uid.all(|declared| (declared.type_id)() != new.type_id) => {
                Err(ConfigError::duplicate(new.uid, first.name, new.name))
            }
            _ => Ok(()),
        }
    }
}

impl Together {
    /// All of these.
    #[must_use]
    pub const fn new(throttles: &'static [Find]) -> Self {
        Self(throttles)
    }

    fn check(&self, registry: &Registry) -> Result<(), ConfigError> {
        let definitions = self.0.iter().map(|find| find(registry)).collect::<Result<Vec<_>, _>>()?;
        Definition::store_of_all(definitions.into_iter()).map(drop)
    }
}
