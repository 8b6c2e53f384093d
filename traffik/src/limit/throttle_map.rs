use std::{
    any::TypeId,
    hash::{Hash, Hasher},
    iter::successors,
    sync::{Arc, OnceLock},
};

use super::Definition;

/// Definitions, found by the type of their throttle.
///
/// What is here stays here, and where it is. So it is read without a lock, and handed out by reference rather than as one
/// more `Arc`, whose count all threads would write to.
#[derive(Debug)]
pub(super) struct ThrottleMap {
    chains: [Chain; CHAINS],
}

/// So many that a chain has one or two links in most apps.
const CHAINS: usize = 64;

#[derive(Debug, Default)]
struct Chain(OnceLock<Box<Link>>);

#[derive(Debug)]
struct Link {
    definition: Arc<Definition>,
    next: Chain,
}

impl ThrottleMap {
    pub(super) fn get(&self, type_id: TypeId) -> Option<&Arc<Definition>> {
        self.chain(type_id).definitions().find(|known| known.type_id == type_id)
    }

    /// Adds a definition whose throttle is not known. One at a time does so.
    pub(super) fn add(&self, new: Definition) -> &Arc<Definition> {
        let mut end = self.chain(new.type_id);
        while let Some(link) = end.0.get() {
            end = &link.next;
        }
        let link = end.0.get_or_init(|| Box::new(Link { definition: Arc::new(new), next: Chain::default() }));
        &link.definition
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.chains.iter().flat_map(Chain::definitions)
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
    fn definitions(&self) -> impl Iterator<Item = &Arc<Definition>> {
        successors(self.0.get(), |link| link.next.0.get()).map(|link| &link.definition)
    }
}

/// What a type's id hashes, which is a hash already.
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
