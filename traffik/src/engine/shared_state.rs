//! What this process knows of the changes that all processes on a backend share.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::observe::LogThrottle;

/// What this process knows of the changes in each backend, in the order of the backends.
#[derive(Debug, Default)]
pub(super) struct SharedChanges {
    of: Mutex<Vec<Known>>,
    pub(super) failures: LogThrottle,
}

#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) version: u64,
    pub(super) texts: BTreeMap<String, String>,
    /// Whether a task reads them.
    pub(super) is_watched: bool,
    /// Whether this process made or asked for shared changes.
    pub(super) is_used: bool,
}

impl SharedChanges {
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn with<R>(&self, place: usize, with: impl FnOnce(&mut Known) -> R) -> R {
        let mut of = self.lock();
        if of.len() <= place {
            of.resize_with(place + 1, Known::default);
        }
        match of.get_mut(place) {
            Some(known) => with(known),
            None => with(&mut Known::default()),
        }
    }
}
