use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use super::{Definition, KnownBy};

/// Limits that are values, found by their uids.
///
/// Requests read it, so it has many locks that are held for a lookup. Adding and removing one limit costs the same in a map
/// of any size.
#[derive(Debug)]
pub(super) struct LimitMap {
    shards: [RwLock<Shard>; SHARDS],
    hasher: RandomState,
}

const SHARDS: usize = 32;

type Shard = HashMap<Arc<str>, Known>;

/// A limit, and how the app came to know it.
pub(super) type Known = (Arc<Definition>, KnownBy);

impl LimitMap {
    pub(super) fn get(&self, uid: &str) -> Option<Known> {
        self.read(uid).get(uid).cloned()
    }

    pub(super) fn has(&self, uid: &str) -> bool {
        self.read(uid).contains_key(uid)
    }

    /// Adds a limit. Returns the one that it replaces.
    pub(super) fn insert(&self, definition: Arc<Definition>, known_by: KnownBy) -> Option<Known> {
        let uid = Arc::clone(&definition.uid);
        self.write(&uid).insert(uid, (definition, known_by))
    }

    pub(super) fn remove(&self, uid: &str) -> Option<Known> {
        let mut shard = self.write(uid);
        let removed = shard.remove(uid);
        // What was freed is not kept for limits that may never come.
        let len = shard.len();
        if shard.capacity() > 4 * len.max(8) {
            shard.shrink_to(2 * len);
        }
        removed
    }

    /// Returns all limits, in no order.
    pub(super) fn all(&self) -> Vec<Known> {
        let lock = |shard: &'_ RwLock<Shard>| -> Vec<Known> {
            shard.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
        };
        self.shards.iter().flat_map(lock).collect()
    }

    fn read(&self, uid: &str) -> RwLockReadGuard<'_, Shard> {
        self.shard(uid).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, uid: &str) -> RwLockWriteGuard<'_, Shard> {
        self.shard(uid).write().unwrap_or_else(PoisonError::into_inner)
    }

    fn shard(&self, uid: &str) -> &RwLock<Shard> {
        let ([first, ..], [byte, ..]) = (&self.shards, self.hasher.hash_one(uid).to_le_bytes());
        self.shards.get(usize::from(byte) % SHARDS).unwrap_or(first)
    }
}

impl Default for LimitMap {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| RwLock::default()), hasher: RandomState::new() }
    }
}
