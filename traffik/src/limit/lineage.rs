use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

/// Whether a limit was removed. Limits that replace each other share the lineage of the first.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    /// `None` if this is the first.
    first: OnceLock<Arc<Self>>,
    /// Read and written while no change is made.
    has_ended: AtomicBool,
}

impl Lineage {
    /// Continues the lineage of the limit that is replaced.
    pub(super) fn continue_from(&self, earlier: &Arc<Self>) {
        let first = earlier.first.get().unwrap_or(earlier);
        // A limit replaces one other, and has this lineage already if it is put in its own place.
        let _ = self.first.set(Arc::clone(first));
    }

    pub(super) fn end(&self) {
        self.first().has_ended.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.first().has_ended.load(Ordering::Relaxed)
    }

    fn first(&self) -> &Self {
        self.first.get().map_or(self, |first| first)
    }
}
