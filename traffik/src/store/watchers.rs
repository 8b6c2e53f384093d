//! Wakes those that wait for room in an entry when this process gives back a charge of it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use tokio::sync::{Notify, futures::Notified};
use traffik_core::{
    client::Key,
    decision::{Adjustment, Hit, LimitId},
};

/// Wakes tasks when something changes.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    is_freed: AtomicBool,
    changed: Notify,
}

impl Signal {
    /// Waits for the next [`wake`](Self::wake).
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Wakes all tasks that wait.
    pub(crate) fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// Returns `true` if a charge was given back since the last call.
    pub(crate) fn take_freed(&self) -> bool {
        self.is_freed.swap(false, Ordering::AcqRel)
    }

    /// Returns `true` if a charge was given back since the last [`take_freed`](Self::take_freed).
    pub(crate) fn is_freed(&self) -> bool {
        self.is_freed.load(Ordering::Acquire)
    }

    /// Wakes all tasks that wait, because there may be room.
    pub(crate) fn free(&self) {
        self.is_freed.store(true, Ordering::Release);
        self.wake();
    }
}

/// The signals of those that wait, by entry. Without any, a charge that is given back costs an addition and a load.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    count: AtomicUsize,
    /// How often charges were given back. Who is refused, and then begins to watch, may have missed one: it is counted before
    /// the watchers are, and a watcher is counted before this is read again.
    given_back: AtomicU64,
    by_key: Mutex<HashMap<Key, Vec<(Arc<LimitId>, Arc<Signal>)>>>,
}

/// Watches an entry until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    watchers: Arc<Watchers>,
    key: Key,
    signal: Arc<Signal>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let watchers = &self.watchers;
        let mut by_key = watchers.by_key.lock();
        if let Some(signals) = by_key.get_mut(&self.key) {
            // A line that watches several limits of one key drops all of its watches.
            if let Some(place) = signals.iter().position(|(_, signal)| Arc::ptr_eq(signal, &self.signal)) {
                signals.swap_remove(place);
                watchers.count.fetch_sub(1, Ordering::AcqRel);
            }
            if signals.is_empty() {
                by_key.remove(&self.key);
            }
        }
    }
}

impl Watchers {
    /// Watches an entry.
    pub(super) fn watch(self: &Arc<Self>, limit: &Arc<LimitId>, key: &Key, signal: &Arc<Signal>) -> Watch {
        self.by_key.lock().entry(key.clone()).or_default().push((Arc::clone(limit), Arc::clone(signal)));
        self.count.fetch_add(1, Ordering::SeqCst);
        Watch { watchers: Arc::clone(self), key: key.clone(), signal: Arc::clone(signal) }
    }

    /// Wakes those that wait for the entries of charges that were lowered.
    pub(super) fn adjusted<'a>(&self, adjustments: impl IntoIterator<Item = Adjustment<'a>>) {
        if self.has_any() {
            let lowered = adjustments.into_iter().filter(|adjustment| adjustment.actual < adjustment.charge.hit.cost);
            self.wake(lowered.map(|adjustment| adjustment.charge.hit));
        }
    }

    /// Wakes those that wait for these entries.
    pub(super) fn changed(&self, entries: &[Hit<'_>]) {
        if self.has_any() {
            self.wake(entries.iter().copied());
        }
    }

    /// Wakes all that wait.
    pub(super) fn clear(&self) {
        self.given_back.fetch_add(1, Ordering::SeqCst);
        self.by_key.lock().values().flatten().for_each(|(_, signal)| signal.free());
    }

    /// Returns a number that rises whenever a charge is given back.
    pub(super) fn given_back(&self) -> u64 {
        self.given_back.load(Ordering::SeqCst)
    }

    /// Counts charges that were given back, and returns whether any entry is watched.
    fn has_any(&self) -> bool {
        self.given_back.fetch_add(1, Ordering::SeqCst);
        self.count.load(Ordering::SeqCst) > 0
    }

    fn wake<'a>(&self, entries: impl Iterator<Item = Hit<'a>>) {
        let by_key = self.by_key.lock();
        for hit in entries {
            let signals = by_key.get(hit.key).into_iter().flatten();
            signals.filter(|(limit, _)| limit.uid() == hit.limit.uid()).for_each(|(_, signal)| signal.free());
        }
    }
}
