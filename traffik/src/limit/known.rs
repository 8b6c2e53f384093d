//! The limits that an app knows: types by their id, and values by their uid.

use std::{
    any::TypeId,
    collections::HashMap,
    hash::{BuildHasher, Hash, Hasher, RandomState},
    iter::successors,
    sync::{Arc, OnceLock},
};

use parking_lot::RwLock;

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

/// Throttles, found by their type.
///
/// Entries are never removed or moved. So reads take no lock and return references. An `Arc` would have a count that
/// all threads write to.
#[derive(Debug)]
pub(super) struct ThrottleMap {
    chains: [Chain; CHAINS],
}

/// With this number a chain has one or two links in most apps.
const CHAINS: usize = 64;

#[derive(Debug, Default)]
struct Chain(OnceLock<Box<Link>>);

#[derive(Debug)]
struct Link {
    throttle: KnownThrottle,
    next: Chain,
}

impl ThrottleMap {
    #[inline]
    pub(super) fn get(&self, type_id: TypeId) -> Option<&KnownThrottle> {
        self.chain(type_id).throttles().find(|known| known.type_id == type_id)
    }

    /// Adds a throttle that is not in the map. The caller holds a lock that prevents concurrent additions.
    pub(super) fn add(&self, new: KnownThrottle) -> &KnownThrottle {
        let mut end = self.chain(new.type_id);
        while let Some(link) = end.0.get() {
            end = &link.next;
        }
        &end.0.get_or_init(|| Box::new(Link { throttle: new, next: Chain::default() })).throttle
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &KnownThrottle> {
        self.chains.iter().flat_map(Chain::throttles)
    }

    #[inline]
    fn chain(&self, type_id: TypeId) -> &Chain {
        let mut id = Id::default();
        type_id.hash(&mut id);
        let ([first, ..], [byte, ..]) = (&self.chains, id.0.to_le_bytes());
        self.chains.get(usize::from(byte) % CHAINS).unwrap_or(first)
    }
}

impl Default for ThrottleMap {
    fn default() -> Self {
        Self { chains: std::array::from_fn(|_| Chain::default()) }
    }
}

impl Chain {
    #[inline]
    fn throttles(&self) -> impl Iterator<Item = &KnownThrottle> {
        successors(self.0.get(), |link| link.next.0.get()).map(|link| &link.throttle)
    }
}

/// The hash of a type's id, which is already a hash.
#[derive(Default)]
struct Id(u64);

impl Hasher for Id {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64((*byte).into()));
    }

    fn write_u64(&mut self, id: u64) {
        self.0 = self.0.rotate_left(8) ^ id;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

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
        self.shard(uid).read().get(uid).cloned()
    }

    pub(super) fn has(&self, uid: &str) -> bool {
        self.shard(uid).read().contains_key(uid)
    }

    /// Adds a limit. Returns the one that it replaces.
    pub(super) fn insert(&self, definition: Arc<Definition>, known_by: KnownBy) -> Option<Known> {
        let uid = Arc::clone(&definition.uid);
        self.shard(&uid).write().insert(uid, (definition, known_by))
    }

    pub(super) fn remove(&self, uid: &str) -> Option<Known> {
        let mut shard = self.shard(uid).write();
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
        let limits = |shard: &RwLock<Shard>| shard.read().values().cloned().collect::<Vec<_>>();
        self.shards.iter().flat_map(limits).collect()
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
