//! All shards of a store, and how many entries each may hold.

use super::{digest::Digest, shard::Shard};

/// The smallest store: the limits of the longest tuple fit, and as many others.
const LEAST_ENTRIES: usize = 16;

/// How many entries a shard holds at least, where there is more than one: enough that chance fills all about alike. It
/// holds fewer than twice as many.
const LEAST_ENTRIES_EACH: usize = 8192;

/// The largest store: a quarter of a thousand million entries take ten gigabytes.
const MOST_ENTRIES: usize = 1 << 28;

#[derive(Debug)]
pub(super) struct Shards {
    shards: Box<[Shard]>,
    max_entries: usize,
}

impl Shards {
    /// Shards for `max_entries` in all: few where they are few, so that a shard is never too small to choose from.
    pub(super) fn new(max_entries: usize) -> Self {
        let max_entries = max_entries.clamp(LEAST_ENTRIES, MOST_ENTRIES);
        let shards = 1 << (max_entries / LEAST_ENTRIES_EACH).max(1).ilog2();
        // Together never more than the store's.
        let each = max_entries / shards;
        Self { shards: (0..shards).map(|_| Shard::new(each)).collect(), max_entries }
    }

    pub(super) const fn max_entries(&self) -> usize {
        self.max_entries
    }

    /// How many entries one decision may be about: they might all be in one shard.
    pub(super) const fn max_entries_at_once(&self) -> usize {
        self.max_entries / self.shards.len()
    }

    /// Which shard a digest belongs to.
    #[inline]
    pub(super) fn place(&self, digest: Digest) -> usize {
        digest.shard as usize & (self.shards.len() - 1)
    }

    /// The shard at a [place](Self::place).
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "`place` cuts to the number of shards")]
    pub(super) fn at(&self, place: usize) -> &Shard {
        &self.shards[place]
    }

    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(Shard::len).sum()
    }

    pub(super) fn clear(&self) {
        self.shards.iter().for_each(|shard| shard.close().clear());
    }
}
