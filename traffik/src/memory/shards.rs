//! All shards of a store.

use traffik_core::decision::Hit;

use super::{
    hash::{KeyHash, Seed},
    shard::Shard,
};

/// The minimum number of entries in a shard, if there are several shards: enough that random keys fill them evenly. A
/// shard holds fewer than twice this number.
const MIN_SHARD_ENTRIES: usize = 8192;

pub(super) struct Shards {
    seed: Seed,
    shards: Box<[Shard]>,
}

/// The location of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) shard: usize,
    pub(super) key: KeyHash,
}

impl Shards {
    /// Creates shards for `max_entries` in total. A low maximum gives few shards, because a small shard has few
    /// candidates for eviction.
    pub(super) fn new(max_entries: usize) -> Self {
        let shards = 1 << (max_entries / MIN_SHARD_ENTRIES).max(1).ilog2();
        Self { seed: Seed::random(), shards: (0..shards).map(|_| Shard::new(max_entries / shards)).collect() }
    }

    #[inline]
    pub(super) fn locate(&self, hit: &Hit<'_>) -> Location {
        let (number, key) = self.seed.hash(hit);
        Location { shard: number as usize & (self.shards.len() - 1), key }
    }

    #[inline]
    #[expect(clippy::indexing_slicing, reason = "`locate` cuts to the number of shards")]
    pub(super) fn at(&self, shard: usize) -> &Shard {
        &self.shards[shard]
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(Shard::len).sum()
    }

    pub(super) fn clear(&self) {
        self.shards.iter().for_each(|shard| shard.lock().clear());
    }
}
