use std::{
    any::TypeId,
    hash::{Hash, Hasher},
    iter::successors,
    sync::OnceLock,
};

use super::known::KnownThrottle;

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
