#[cfg(feature = "file")]
use std::collections::HashSet;
use std::{
    any::{TypeId, type_name},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use traffik_core::backend::BackendError;

#[cfg(feature = "file")]
use super::start_settings::StartSettings;
use super::{
    ConfigError, Definition, Throttle,
    changes::Changes,
    definition::{LimitBackend, NewLimit},
    known::{Known, KnownBy, KnownThrottle, LimitMap, ThrottleMap},
    throttle::is_valid_uid,
};
use crate::{
    observe::Observers,
    on_error::{ErrorPolicy, FallbackBackend, Policies},
    request::ThrottleDefaults,
    store::{Store, Stores, each},
    warning::{WarningLog, warn_of},
};

/// The throttles that an app knows, each by its type. At most one type of each uid is used.
///
/// Every request reads it, and each throttle is written once, so reading takes no lock.
#[derive(Debug, Default)]
pub struct ThrottleTable {
    pub(crate) stores: Stores,
    policies: Policies,
    pub(crate) told: WarningLog,
    /// What the app adds to each throttle.
    defaults: ThrottleDefaults,
    observers: Arc<Observers>,
    /// The changes since the start.
    pub(crate) changes: Arc<Changes>,
    known: ThrottleMap,
    /// The limits that are values. None has the uid of a throttle in `known` that is used.
    values: LimitMap,
    writing: Mutex<()>,
    /// The policies of values that were removed or replaced. Permits and checks under way may use them.
    former: Mutex<Vec<Weak<ErrorPolicy>>>,
    /// What of the limits file holds from the start.
    #[cfg(feature = "file")]
    pub(super) start_settings: StartSettings,
}

impl ThrottleTable {
    pub(crate) fn new(
        stores: Stores,
        policies: Policies,
        told: WarningLog,
        defaults: ThrottleDefaults,
        observers: Observers,
        changes: Changes,
    ) -> Self {
        let (observers, changes) = (Arc::new(observers), Arc::new(changes));
        Self { stores, policies, told, defaults, observers, changes, ..Self::default() }
    }

    /// Sets what of the limits file holds from the start.
    #[cfg(feature = "file")]
    pub(crate) fn with_start_settings(self, start_settings: StartSettings) -> Self {
        Self { start_settings, ..self }
    }

    /// Checks every throttle that a macro declares, anywhere in the program.
    ///
    /// Another app of the program may have the missing backend, or use the other throttle of a uid. So such an error is
    /// a warning here, unless `is_strict`. Throttles that the app uses were checked before.
    pub(crate) fn check_declared(&self, is_strict: bool) -> Result<(), ConfigError> {
        DeclaredThrottle::add_all(self);
        let in_two_backends: Vec<_> = SameBackend::errors(self).collect();
        let mut all: Vec<_> = self.known.iter().collect();
        // The macros register them in no order.
        all.sort_unstable_by_key(|known| (known.uid, known.path_within_crate(), known.name));
        let unusable = all.iter().filter_map(|known| known.definition()?.err().cloned());
        let pairs = all.iter().zip(all.iter().skip(1));
        let duplicates = pairs.filter(|(one, next)| one.uid == next.uid && !one.is_same_source(next));
        let duplicates = duplicates.map(|(one, next)| ConfigError::duplicate(next.uid, one.name, next.name));
        unusable.chain(in_two_backends).chain(duplicates).try_for_each(|error| match error.warning() {
            Some(warning) if !is_strict => {
                if !self.told.is_silenced(warning) {
                    warn_of!(warning, "{error}");
                }
                Ok(())
            }
            _ => Err(error),
        })
    }

    /// Checks that every throttle that rules are added to is known.
    pub(crate) fn check_rules(&self) -> Result<(), ConfigError> {
        let is_known = |uid: &str| self.values.has(uid) || self.known.iter().any(|known| known.uid == uid);
        match self.defaults.rules.uids().find(|uid| !is_known(uid)) {
            Some(uid) => Err(self.unknown_uid(uid)),
            None => Ok(()),
        }
    }

    /// Returns what observes the app.
    pub(crate) fn observers(&self) -> &Arc<Observers> {
        &self.observers
    }

    /// Returns the limit with this uid, and how the app came to know it.
    ///
    /// # Errors
    ///
    /// Returns an error if the app knows no such limit, or if it cannot work.
    pub(crate) fn by_uid(&self, uid: &str) -> Result<Known, ConfigError> {
        if let Some(value) = self.values.get(uid) {
            return Ok(value);
        }
        let same = || self.known.iter().filter(|known| known.uid == uid);
        let known = same().find(|known| known.is_used()).or_else(|| same().next());
        match known.and_then(|known| Some((known, known.definition()?))) {
            Some((known, Ok(definition))) => Ok((Arc::clone(definition), known.known_by())),
            Some((_, Err(error))) => Err(error.clone()),
            None => Err(self.unknown_uid(uid)),
        }
    }

    #[cold]
    fn unknown_uid(&self, uid: &str) -> ConfigError {
        /// Comparing uids takes a while, so only some of many are compared.
        const COMPARED: usize = 1000;
        let values = self.values.all();
        let values = values.iter().take(COMPARED).map(|(definition, _)| &*definition.uid);
        ConfigError::unknown_uid(uid, self.known.iter().map(|known| known.uid).chain(values))
    }

    /// Returns the limits that can work, each uid once, in the order of the uids.
    pub(crate) fn all(&self) -> Vec<Known> {
        let mut all = self.values.all();
        let mut uids: Vec<_> = self.known.iter().map(|known| known.uid).collect();
        uids.sort_unstable();
        uids.dedup();
        let types = uids.into_iter().filter_map(|uid| self.by_uid(uid).ok());
        all.extend(types.filter(|(definition, _)| !definition.is_value()));
        all.sort_unstable_by(|(one, _), (other, _)| one.uid.cmp(&other.uid));
        all
    }

    /// Returns the limit with this uid that is a value.
    ///
    /// # Errors
    ///
    /// Returns an error if the app has no such limit. Requests may cause it, so it names no similar uids.
    pub(crate) fn value(&self, uid: &str) -> Result<Arc<Definition>, ConfigError> {
        let unknown = || ConfigError::unknown_uid(uid, std::iter::empty());
        let value = self.values.get(uid).map(|(definition, _)| definition);
        value.ok_or_else(|| self.not_a_value(uid).unwrap_or_else(unknown))
    }

    /// Returns the error for the uid of a type.
    #[cold]
    fn not_a_value(&self, uid: &str) -> Option<ConfigError> {
        let known = self.known.iter().find(|known| known.uid == uid)?;
        Some(ConfigError::NotAValue { uid: uid.into(), throttle: known.name.into() })
    }

    /// Returns whether `definition` belongs to a limit that the app still has.
    pub(crate) fn has(&self, definition: &Definition) -> bool {
        !definition.is_value() || self.values.has(&definition.uid)
    }

    /// Adds a limit that is a value.
    ///
    /// # Errors
    ///
    /// Returns an error if the limit cannot work, or if the app knows another one of its uid.
    pub(crate) fn add(&self, new: NewLimit, known_by: KnownBy) -> Result<Arc<Definition>, ConfigError> {
        let new = Arc::new(self.define(new)?);
        let _writing = self.writing.lock();
        self.check_uid(&new.uid, &new.name, known_by)?;
        if let Some((first, _)) = self.values.get(&new.uid) {
            return Err(ConfigError::duplicate(&new.uid, &first.name, &new.name));
        }
        self.values.insert(Arc::clone(&new), known_by);
        Ok(new)
    }

    /// Adds a limit that is a value, in place of the one that has its uid.
    ///
    /// # Errors
    ///
    /// Returns an error if the limit cannot work, or if its uid is that of a type or of a limit that the app knows otherwise.
    pub(crate) fn replace(&self, new: NewLimit, known_by: KnownBy) -> Result<Arc<Definition>, ConfigError> {
        let new = self.define(new)?;
        let writing = self.writing.lock();
        self.check_uid(&new.uid, &new.name, known_by)?;
        let new = Arc::new(new);
        let earlier = self.put(&new, known_by);
        // Functions of the app are dropped without the lock.
        drop(writing);
        drop(earlier);
        Ok(new)
    }

    /// Returns the one whose place it takes.
    fn put(&self, new: &Arc<Definition>, known_by: KnownBy) -> Option<Arc<Definition>> {
        let (earlier, _) = self.values.insert(Arc::clone(new), known_by)?;
        if !Arc::ptr_eq(&earlier, new) {
            new.counters.continue_from(&earlier.counters);
            new.lineage.continue_from(&earlier.lineage);
            self.keep_policies(&earlier);
        }
        Some(earlier)
    }

    /// Replaces the limits that a file made by others, while no change is made. The caller drops those that it returns when it holds
    /// no lock, since that runs code of the app.
    ///
    /// # Errors
    ///
    /// Returns an error with the uid, and replaces none, if the app knows another limit of a uid.
    #[cfg(feature = "file")]
    pub(crate) fn put_file(
        &self,
        before: impl Iterator<Item = Arc<str>>,
        made: &[Arc<Definition>],
    ) -> Result<Replaced, (Arc<str>, ConfigError)> {
        let _writing = self.writing.lock();
        for new in made {
            self.check_uid(&new.uid, &new.name, KnownBy::File).map_err(|error| (Arc::clone(&new.uid), error))?;
        }
        let earlier = made.iter().filter_map(|new| self.put(new, KnownBy::File)).collect();
        let uids: HashSet<_> = made.iter().map(|new| &new.uid).collect();
        let removed = before.filter(|uid| !uids.contains(uid)).filter_map(|uid| self.forget(&uid)).collect();
        Ok(Replaced { removed, _earlier: earlier })
    }

    fn forget(&self, uid: &str) -> Option<Arc<Definition>> {
        self.told.forget(uid);
        let (removed, _) = self.values.remove(uid)?;
        removed.lineage.end();
        self.keep_policies(&removed);
        Some(removed)
    }

    /// Remembers the policies of a limit that the app no longer has, if they are its own.
    fn keep_policies(&self, definition: &Definition) {
        if definition.settings.on_error.is_some() {
            let mut former = self.former.lock();
            former.retain(|policy| policy.strong_count() > 0);
            former.extend(definition.backends.iter().map(|backend| Arc::downgrade(&backend.policy)));
        }
    }

    /// Removes a limit that is a value, while no change is made. The caller drops it when it holds no lock, since that runs code of
    /// the app.
    ///
    /// # Errors
    ///
    /// Returns an error if the app has no such limit, or knows it otherwise.
    pub(crate) fn remove(&self, uid: &str, known_by: KnownBy) -> Result<Option<Arc<Definition>>, ConfigError> {
        let _writing = self.writing.lock();
        match self.values.get(uid) {
            Some((_, by)) if by == known_by => Ok(self.forget(uid)),
            Some((definition, _)) => {
                Err(ConfigError::NotAValue { uid: uid.into(), throttle: Box::from(&*definition.name) })
            }
            None => Err(self.not_a_value(uid).unwrap_or_else(|| self.unknown_uid(uid))),
        }
    }

    /// Adds what the app, and what its file from the start, say of a limit, and checks it.
    pub(crate) fn define(&self, mut new: NewLimit) -> Result<Definition, ConfigError> {
        self.defaults.add_to(&new.uid, &mut new.settings.request);
        #[cfg(feature = "file")]
        self.start_settings.add_to(&new.uid, &mut new.settings);
        #[cfg(feature = "file")]
        let uid = Arc::clone(&new.uid);
        let (stores, policies, told) = (&self.stores, &self.policies, &self.told);
        let defined = Definition::new(new, stores, policies, told, &self.observers, &self.changes);
        #[cfg(feature = "file")]
        let defined = defined.map_err(|error| self.start_settings.error(&uid, error));
        defined
    }

    /// Checks that a value may have a uid: it is valid, and neither a type has it nor a value that the app knows otherwise.
    pub(crate) fn check_uid(&self, uid: &str, name: &str, known_by: KnownBy) -> Result<(), ConfigError> {
        if !is_valid_uid(uid) {
            return Err(ConfigError::Uid { uid: uid.into() });
        }
        // A type that came after the value was never used.
        let is_value = self.values.has(uid);
        if let Some(first) = self.known.iter().find(|known| known.uid == uid && (known.is_used() || !is_value)) {
            return Err(ConfigError::duplicate(uid, first.name, name));
        }
        match self.values.get(uid).filter(|(_, by)| *by != known_by) {
            Some((first, _)) => Err(ConfigError::duplicate(uid, &first.name, name)),
            None => Ok(()),
        }
    }

    /// Returns the definition of `T`, which the app uses from now on.
    pub(crate) fn get<T: Throttle>(&self, known_by: KnownBy) -> Result<&Arc<Definition>, ConfigError> {
        let known = self.find::<T>();
        let definition = known.define(|| self.define(NewLimit::of::<T>(known.name)))?;
        if !known.is_used() {
            self.take_uid(known, known_by)?;
        }
        Ok(definition)
    }

    /// Finds `T` in the list, or adds it.
    fn find<T: Throttle>(&self) -> &KnownThrottle {
        self.known.get(TypeId::of::<T>()).unwrap_or_else(|| self.add_type::<T>())
    }

    #[cold]
    fn add_type<T: Throttle>(&self) -> &KnownThrottle {
        let type_id = TypeId::of::<T>();
        let name = DeclaredThrottle::name_of(type_id).unwrap_or(type_name::<T>());
        let _writing = self.writing.lock();
        self.known.get(type_id).unwrap_or_else(|| self.known.add(KnownThrottle::new::<T>(name)))
    }

    /// Finds `T` in the list, or adds it, and makes its definition. No lock of the table is held, since this runs code of the
    /// app.
    pub(crate) fn find_defined<T: Throttle>(&self) -> &KnownThrottle {
        let known = self.find::<T>();
        // An error stays in the list.
        let _ = known.define(|| self.define(NewLimit::of::<T>(known.name)));
        known
    }

    /// Records the first use of a throttle.
    ///
    /// # Errors
    ///
    /// Returns an error if the app uses another limit of the same uid.
    fn take_uid(&self, known: &KnownThrottle, known_by: KnownBy) -> Result<(), ConfigError> {
        let _writing = self.writing.lock();
        let is_another =
            |other: &&KnownThrottle| other.is_used() && other.uid == known.uid && other.type_id != known.type_id;
        if let Some(first) = self.known.iter().find(is_another) {
            return Err(ConfigError::duplicate(known.uid, first.name, known.name));
        }
        if let Some((first, _)) = self.values.get(known.uid) {
            return Err(ConfigError::duplicate(known.uid, &first.name, known.name));
        }
        known.set_used(known_by);
        Ok(())
    }

    /// Returns the limits that the app registered, used or added.
    pub(crate) fn used(&self) -> impl Iterator<Item = Arc<Definition>> {
        let used = self.known.iter().filter(|known| known.is_used()).filter_map(|known| known.definition()?.ok());
        used.cloned().chain(self.values.all().into_iter().map(|(definition, _)| definition))
    }

    /// Clears all backends, including fallbacks.
    pub(crate) async fn clear(&self) -> Result<(), BackendError> {
        let stores = self.stores.clear().await;
        stores.and(each(self.fallbacks().map(async |fallback| fallback.clear().await)).await)
    }

    /// Closes all backends, including fallbacks.
    pub(crate) async fn close(&self) -> Result<(), BackendError> {
        let stores = self.stores.close().await;
        stores.and(each(self.fallbacks().map(async |fallback| fallback.store.close().await)).await)
    }

    /// Returns the fallbacks of the app and of used throttles, and those of former limits that permits use. Duplicates do no harm.
    /// The fallback of a throttle that is only declared may belong to another app.
    fn fallbacks(&self) -> impl Iterator<Item = Arc<FallbackBackend>> {
        let former: Vec<_> = self.former.lock().iter().filter_map(Weak::upgrade).collect();
        self.policies().map(|(.., policy)| policy).chain(former).filter_map(|policy| policy.fallback.clone())
    }

    /// Returns the policy of the app for each backend, and those of used throttles that have their own, with their uids.
    pub(crate) fn policies(&self) -> impl Iterator<Item = (Option<Arc<str>>, Arc<Store>, Arc<ErrorPolicy>)> {
        let of_app = self.policies.iter().map(|(store, policy)| (None, Arc::clone(store), Arc::clone(policy)));
        let own = self.used().filter(|definition| definition.settings.on_error.is_some());
        of_app.chain(own.flat_map(|definition| {
            let backends = definition.backends.iter();
            let of = |backend: &LimitBackend| {
                (Some(Arc::clone(&definition.uid)), Arc::clone(&backend.store), Arc::clone(&backend.policy))
            };
            backends.map(of).collect::<Vec<_>>()
        }))
    }
}

/// The limits that a file made before, and makes no more.
#[cfg(feature = "file")]
pub(crate) struct Replaced {
    /// Those whose uids are unknown now.
    pub(crate) removed: Vec<Arc<Definition>>,
    /// Those in whose places others are.
    _earlier: Vec<Arc<Definition>>,
}

/// A throttle that a macro declares.
#[derive(Debug)]
pub struct DeclaredThrottle {
    name: &'static str,
    type_id: fn() -> TypeId,
    find: Lookup,
}

/// Several throttles that a macro puts on one handler, as one decision.
#[derive(Debug)]
pub struct SameBackend(&'static [Lookup]);

/// Finds a throttle in the list of an app.
pub type Lookup = fn(&ThrottleTable) -> &KnownThrottle;

inventory::collect!(DeclaredThrottle);
inventory::collect!(SameBackend);

impl DeclaredThrottle {
    /// Creates the entry of `T`. Errors call it by `name`, which ends with file, line and column.
    #[must_use]
    pub const fn new<T: Throttle>(name: &'static str) -> Self {
        Self { name, type_id: TypeId::of::<T>, find: ThrottleTable::find_defined::<T> }
    }

    /// Returns the name in errors of a throttle that a macro declares.
    fn name_of(type_id: TypeId) -> Option<&'static str> {
        Self::all().find(|declared| (declared.type_id)() == type_id).map(|declared| declared.name)
    }

    /// Adds each to the list of an app.
    fn add_all(table: &ThrottleTable) {
        for declared in Self::all() {
            (declared.find)(table);
        }
    }

    fn all() -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Self>.into_iter()
    }
}

impl SameBackend {
    /// Creates the set of these throttles.
    #[must_use]
    pub const fn new(throttles: &'static [Lookup]) -> Self {
        Self(throttles)
    }

    /// Returns an error for each handler whose throttles are kept in different backends. The throttles are added to the list
    /// of the app.
    fn errors(table: &ThrottleTable) -> impl Iterator<Item = ConfigError> {
        inventory::iter::<Self>.into_iter().filter_map(|handler| {
            let known: Vec<_> = handler.0.iter().map(|find| find(table)).collect();
            // A throttle without a definition has an error of its own.
            let definitions: Vec<_> = known.iter().filter_map(|known| known.definition()?.ok()).collect();
            Definition::check_together(definitions.into_iter()).err()
        })
    }
}
