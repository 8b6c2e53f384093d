use std::{
    any::TypeId,
    sync::{Arc, Mutex, PoisonError},
};

use traffik_core::backend::BackendError;

use super::known::Known;
use crate::web::ByUid;
use crate::{
    limit::{ConfigError, Declared, Definition, Throttle, Throttles},
    on_error::{ErrorPolicy, Policies},
    store::Stores,
    warning::Told,
};

/// The throttles that an app knows, each by its type, and at most one for a uid.
///
/// Read by every request and written once for each throttle, so reading takes no lock.
#[derive(Debug, Default)]
pub struct Registry {
    pub(crate) stores: Stores,
    policies: Policies,
    pub(crate) told: Arc<Told>,
    /// What the app adds to the rules of throttles.
    rules: ByUid,
    known: Known,
    writing: Mutex<()>,
    allow_duplicate_uids: bool,
    /// Throttles of the program that cannot be told apart. None of them can be used.
    duplicates: Vec<ConfigError>,
}

impl Registry {
    pub(crate) fn new(stores: Stores, policies: Policies, told: Arc<Told>, allow_duplicate_uids: bool) -> Self {
        let duplicates = if allow_duplicate_uids { Vec::new() } else { Declared::duplicates() };
        for duplicate in &duplicates {
            tracing::error!("{duplicate}");
        }
        Self { stores, policies, told, allow_duplicate_uids, duplicates, ..Self::default() }
    }

    /// Whether every throttle that a macro declared can be told from the others.
    pub(crate) fn check_uids() -> Result<(), ConfigError> {
        Declared::duplicates().into_iter().next().map_or(Ok(()), Err)
    }

    /// Whether every throttle that a macro declared works with these backends.
    ///
    /// They are made known to nobody: the app may use few of them, and one that was compiled twice only once.
    pub(crate) fn check_declared(&self) -> Result<(), ConfigError> {
        let all = Self::new(self.stores.clone(), self.policies.clone(), Arc::clone(&self.told), true);
        let all = all.with_rules(self.rules.clone());
        Declared::check_each(&all)
    }

    pub(crate) fn with_rules(self, rules: ByUid) -> Self {
        Self { rules, ..self }
    }

    /// Whether every throttle that rules are added to is known.
    pub(crate) fn check_rules(&self) -> Result<(), ConfigError> {
        let known: Vec<_> = Declared::uids().chain(self.known.iter().map(|known| known.uid)).collect();
        match self.rules.uid_not_of(&known) {
            Some(uid) => Err(ConfigError::unknown_uid(uid, &known)),
            None => Ok(()),
        }
    }

    /// Checks a throttle, or each of a tuple, and whether they can be one decision.
    pub(crate) fn register<T: Throttles>(&self) -> Result<(), ConfigError> {
        Definition::store_of_all(T::define(self)?.iter().copied()).map(|_| ())
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
        let mut settings = T::settings();
        self.rules.add_to(T::UID, &mut settings.web.applies);
        Definition::of::<T>(settings, &self.stores, &self.policies, &self.told)
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
        Declared::check(new)?;
        match self.known.iter().find(|known| known.uid == new.uid) {
            Some(first) => Err(ConfigError::duplicate(new.uid, first.name, new.name)),
            None => Ok(()),
        }
    }
}
