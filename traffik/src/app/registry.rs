use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;

use crate::throttle::{ConfigError, Definition, Throttle};

/// The throttles that an app knows, each by its type, and at most one for a uid.
///
/// Read by every request and written once for each throttle, so reading takes no lock.
#[derive(Debug, Default)]
pub(super) struct Registry {
    known: ArcSwap<HashMap<TypeId, Arc<Definition>>>,
    writing: Mutex<()>,
    allow_duplicate_uids: bool,
}

impl Registry {
    pub(super) fn new(allow_duplicate_uids: bool) -> Self {
        Self { allow_duplicate_uids, ..Self::default() }
    }

    /// The definition of `T`, which is checked and remembered when it is first asked for.
    pub(super) fn get<T: Throttle>(&self) -> Result<Arc<Definition>, ConfigError> {
        match self.known.load().get(&TypeId::of::<T>()) {
            Some(known) => Ok(Arc::clone(known)),
            None => self.learn(Definition::of::<T>()?),
        }
    }

    fn learn(&self, new: Definition) -> Result<Arc<Definition>, ConfigError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known.load();
        if let Some(known) = known.get(&new.type_id) {
            return Ok(Arc::clone(known));
        }
        if let Some(first) = known.values().find(|known| known.uid == new.uid && !self.allow_duplicate_uids) {
            return Err(ConfigError::DuplicateUid { uid: new.uid, first: first.type_name, second: new.type_name });
        }
        let new = Arc::new(new);
        let mut more = HashMap::clone(&known);
        more.insert(new.type_id, Arc::clone(&new));
        self.known.store(Arc::new(more));
        Ok(new)
    }
}
