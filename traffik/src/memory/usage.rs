use crate::observe::{Counter, Gauge, metric};

/// What metrics show of a store. Stores of one namespace add up.
#[derive(Debug)]
pub(super) struct Usage {
    namespace: Box<str>,
    entries: Gauge,
    evictions: Counter,
}

impl Usage {
    pub(super) fn of(namespace: &str) -> Self {
        Self { namespace: namespace.into(), entries: Gauge::default(), evictions: Counter::default() }
    }

    /// Records that a part of the store has `after` entries, and had `before`.
    #[inline]
    pub(super) fn resized(&self, before: usize, after: usize) {
        if before != after {
            self.entries.add(&metric::MEMORY_ENTRIES, &[&self.namespace], after as f64 - before as f64);
        }
    }

    #[inline]
    pub(super) fn evicted(&self, entries: u64) {
        self.evictions.add(&metric::MEMORY_EVICTIONS, &[&self.namespace], entries);
    }
}
