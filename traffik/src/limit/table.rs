use std::{
    any::{TypeId, type_name},
    sync::{Arc, Mutex, PoisonError},
};

use traffik_core::backend::BackendError;

use super::{ConfigError, Definition, Throttle, throttle_map::ThrottleMap};
use crate::{
    on_error::{ErrorPolicy, Policies},
    request::ByUid,
    store::Stores,
    warning::Told,
};

/// The throttles that an app knows, each by its type, and at most one for a uid.
///
/// Read by every request and written once for each throttle, so reading takes no lock.
#[derive(Debug, Default)]
pub struct ThrottleTable {
    pub(crate) stores: Stores,
    policies: Policies,
    pub(crate) told: Arc<Told>,
    /// What the app adds to the rules of throttles.
    rules: ByUid,
    known: ThrottleMap,
    writing: Mutex<()>,
    allow_duplicate_uids: bool,
    /// Throttles of the program that cannot be told apart. None of them can be used.
    duplicates: Vec<ConfigError>,
}

impl ThrottleTable {
    pub(crate) fn new(stores: Stores, policies: Policies, told: Arc<Told>, allow_duplicate_uids: bool) -> Self {
        let duplicates = if allow_duplicate_uids { Vec::new() } else { DeclaredThrottle::duplicates() };
        for duplicate in &duplicates {
            tracing::error!("{duplicate}");
        }
        Self { stores, policies, told, allow_duplicate_uids, duplicates, ..Self::default() }
    }

    /// Whether every throttle that a macro declared can be told from the others.
    pub(crate) fn check_uids() -> Result<(), ConfigError> {
        DeclaredThrottle::duplicates().into_iter().next().map_or(Ok(()), Err)
    }

    /// Whether every throttle that a macro declared works with these backends.
    ///
    /// They are made known to nobody: the app may use few of them, and one that was compiled twice only once.
    pub(crate) fn check_declared(&self) -> Result<(), ConfigError> {
        let all = Self::new(self.stores.clone(), self.policies.clone(), Arc::clone(&self.told), true);
        let all = all.with_rules(self.rules.clone());
        DeclaredThrottle::check_each(&all)
    }

    pub(crate) fn with_rules(self, rules: ByUid) -> Self {
        Self { rules, ..self }
    }

    /// Whether every throttle that rules are added to is known.
    pub(crate) fn check_rules(&self) -> Result<(), ConfigError> {
        let known: Vec<_> = DeclaredThrottle::uids().chain(self.known.iter().map(|known| known.uid)).collect();
        match self.rules.uid_not_of(&known) {
            Some(uid) => Err(ConfigError::unknown_uid(uid, &known)),
            None => Ok(()),
        }
    }

    /// The definition of `T`, which is checked and remembered when it is first asked for.
    pub(crate) fn get<T: Throttle>(&self) -> Result<&Arc<Definition>, ConfigError> {
        match self.known.get(TypeId::of::<T>()) {
            Some(known) => Ok(known),
            None => self.learn(self.define::<T>()?),
        }
    }

    /// What `T` is, with what the app adds to its settings.
    fn define<T: Throttle>(&self) -> Result<Definition, ConfigError> {
        let name = DeclaredThrottle::name_of(TypeId::of::<T>()).unwrap_or(type_name::<T>());
        let mut settings = T::settings();
        self.rules.add_to(T::UID, &mut settings.request.applies);
        Definition::of::<T>(name, settings, &self.stores, &self.policies, &self.told)
    }

    /// Clears all backends, those included that stand in for others.
    pub(crate) async fn clear(&self) -> Result<(), BackendError> {
        let mut all = self.stores.clear().await;
        for policy in self.all_policies() {
            all = all.and(policy.clear().await);
        }
        all
    }

    /// Closes all backends, likewise.
    pub(crate) async fn close(&self) -> Result<(), BackendError> {
        let mut all = self.stores.close().await;
        for policy in self.all_policies() {
            all = all.and(policy.close().await);
        }
        all
    }

    /// Those of the app, and those that throttles have of their own. That some are there twice does no harm.
    fn all_policies(&self) -> impl Iterator<Item = &Arc<ErrorPolicy>> {
        self.policies.iter().chain(self.known.iter().filter_map(|known| known.policy.as_ref()))
    }

    fn learn(&self, new: Definition) -> Result<&Arc<Definition>, ConfigError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = self.known.get(new.type_id) {
            return Ok(known);
        }
        if !self.allow_duplicate_uids {
            self.check_uid(&new)?;
        }
        Ok(self.known.add(new))
    }

    fn check_uid(&self, new: &Definition) -> Result<(), ConfigError> {
        let is_new = |error: &&ConfigError| matches!(error, ConfigError::DuplicateUid { uid, .. } if *uid == new.uid);
        if let Some(duplicate) = self.duplicates.iter().find(is_new) {
            return Err(duplicate.clone());
        }
        DeclaredThrottle::check(new)?;
        match self.known.iter().find(|known| known.uid == new.uid) {
            Some(first) => Err(ConfigError::duplicate(new.uid, first.name, new.name)),
            None => Ok(()),
        }
    }
}

/// What a macro tells of a throttle that it declares.
#[derive(Debug)]
pub struct DeclaredThrottle {
    uid: &'static str,
    name: &'static str,
    place: &'static str,
    type_id: fn() -> TypeId,
    find: Lookup,
}

/// Several throttles that a macro puts on one handler, to be one decision.
#[derive(Debug)]
pub struct SameBackend(&'static [Lookup]);

/// Finds what a throttle is in an app.
pub type Lookup = fn(&ThrottleTable) -> Result<&Arc<Definition>, ConfigError>;

inventory::collect!(DeclaredThrottle);
inventory::collect!(SameBackend);

impl DeclaredThrottle {
    /// The throttle `T`. `name` is what errors call it; `place` is file, line and column.
    #[must_use]
    pub const fn new<T: Throttle>(name: &'static str, place: &'static str) -> Self {
        Self { uid: T::UID, name, place, type_id: TypeId::of::<T>, find: ThrottleTable::get::<T> }
    }

    /// What errors call a throttle that a macro declared.
    fn name_of(type_id: TypeId) -> Option<&'static str> {
        Self::all().find(|declared| (declared.type_id)() == type_id).map(|declared| declared.name)
    }

    /// The uid of each.
    fn uids() -> impl Iterator<Item = &'static str> {
        Self::all().map(|declared| declared.uid)
    }

    /// An error for the first that is set up wrong, by itself or together with others of its handler.
    fn check_each(registry: &ThrottleTable) -> Result<(), ConfigError> {
        Self::all().try_for_each(|declared| (declared.find)(registry).map(drop))?;
        inventory::iter::<SameBackend>.into_iter().try_for_each(|together| together.check(registry))
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
    fn duplicates() -> Vec<ConfigError> {
        let mut all: Vec<_> = Self::all().collect();
        // They come in no order.
        all.sort_unstable_by_key(|declared| (declared.uid, declared.place, declared.name));
        let pairs = all.iter().zip(all.iter().skip(1));
        let duplicates = pairs.filter(|(one, next)| one.uid == next.uid && !one.is(next));
        duplicates.map(|(one, next)| ConfigError::duplicate(one.uid, one.name, next.name)).collect()
    }

    /// An error if the throttle is written by hand and has the uid of one that is declared.
    fn check(new: &Definition) -> Result<(), ConfigError> {
        let mut same_uid = Self::all().filter(|declared| declared.uid == new.uid).peekable();
        match same_uid.peek().copied() {
            Some(first) if same_uid.all(|declared| (declared.type_id)() != new.type_id) => {
                Err(ConfigError::duplicate(new.uid, first.name, new.name))
            }
            _ => Ok(()),
        }
    }
}

impl SameBackend {
    /// All of these.
    #[must_use]
    pub const fn new(throttles: &'static [Lookup]) -> Self {
        Self(throttles)
    }

    fn check(&self, registry: &ThrottleTable) -> Result<(), ConfigError> {
        let definitions = self.0.iter().map(|find| find(registry)).collect::<Result<Vec<_>, _>>()?;
        Definition::store_of_all(definitions.into_iter()).map(drop)
    }
}
