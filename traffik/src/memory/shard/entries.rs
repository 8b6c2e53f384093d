use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::{super::hash::KeyHash, entry::Entry};

/// The number of entries that are allocated together.
const SEGMENT: usize = 256;

/// Entries next to each other, allocated a segment at a time and kept.
pub(super) struct Entries {
    segments: Box<[OnceLock<Box<[Entry]>>]>,
    len: AtomicUsize,
    pub(super) max: usize,
}

impl Entries {
    pub(super) fn new(max: usize) -> Self {
        let segments = (0..max.div_ceil(SEGMENT)).map(|_| OnceLock::new()).collect();
        Self { segments, len: AtomicUsize::new(0), max }
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    #[inline]
    pub(super) fn get(&self, position: usize) -> Option<&Entry> {
        self.segments.get(position / SEGMENT)?.get()?.get(position % SEGMENT)
    }

    /// Returns the key of an existing entry.
    pub(super) fn key_at(&self, position: usize) -> KeyHash {
        self.get(position).map_or_else(KeyHash::default, Entry::key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.segments.iter().filter_map(OnceLock::get).flatten().take(self.len())
    }

    /// Adds an entry, and returns it with its position. Returns `None` if there is no room.
    pub(super) fn push(&self) -> Option<(usize, &Entry)> {
        let position = self.len();
        let segment = self.segments.get(position / SEGMENT)?;
        let length = SEGMENT.min(self.max - position / SEGMENT * SEGMENT);
        let entry = segment.get_or_init(|| (0..length).map(|_| Entry::default()).collect()).get(position % SEGMENT)?;
        self.len.store(position + 1, Relaxed);
        Some((position, entry))
    }

    /// Removes the last entry.
    pub(super) fn pop(&self) {
        self.len.store(self.len().saturating_sub(1), Relaxed);
    }

    pub(super) fn clear(&self) {
        self.len.store(0, Relaxed);
    }
}
