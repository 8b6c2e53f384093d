//! Changes of limits while the app runs.
//!
//! Each setting has a value of its own for each [`Source`]. A decision uses one snapshot of all of them, a [`Live`]. An app that
//! changes nothing has no snapshot.

mod clients;
mod live;
mod texts;
mod values;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use traffik_core::clock::AnyClock;

pub use self::{
    clients::Until,
    values::{Change, Setting, Source},
};
pub(crate) use self::{
    clients::{Block, ClientChange, ClientMap, Lasting, Penalty},
    live::{Live, LiveLimit},
    texts::{ClientSetting, Name, SharedValue},
    values::{BySource, Switch, Values},
};

/// The changes of an app.
pub(crate) struct Changes {
    clock: AnyClock,
    /// Whether anything is changed. Decisions read no more than this if nothing is.
    has_changes: AtomicBool,
    live: ArcSwap<Live>,
    changing: Mutex<()>,
}

impl Changes {
    pub(crate) fn new(clock: AnyClock) -> Self {
        Self { clock, has_changes: AtomicBool::new(false), live: ArcSwap::default(), changing: Mutex::default() }
    }

    /// Returns the snapshot for a decision. `None` if nothing is changed.
    #[inline]
    pub(crate) fn live(&self) -> Option<Arc<Live>> {
        // A decision that starts after a change was made sees it, because whatever ordered the two orders this load.
        if self.has_changes.load(Ordering::Relaxed) { self.load() } else { None }
    }

    /// Returns the version of the snapshot. 0 if nothing is changed.
    #[cfg(feature = "ws")]
    pub(crate) fn version(&self) -> u64 {
        self.live().map_or(0, |live| live.version)
    }

    /// Returns the latest snapshot, to show it.
    pub(crate) fn latest(&self) -> Arc<Live> {
        self.live().unwrap_or_else(|| self.live.load_full())
    }

    #[cold]
    fn load(&self) -> Option<Arc<Live>> {
        let live = self.live.load_full();
        match live.next_end {
            Some(end) if end <= self.clock.now() => {
                self.change(|_| ());
                Some(self.live.load_full())
            }
            _ => Some(live),
        }
    }

    /// Makes a change, which decisions see that start afterwards.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Live) -> R) -> R {
        match self.try_change(|live| Ok::<_, std::convert::Infallible>(change(live))) {
            Ok(result) => result,
        }
    }

    /// Makes a change, unless it is an error. Then nothing is changed.
    pub(crate) fn try_change<R, E>(&self, change: impl FnOnce(&mut Live) -> Result<R, E>) -> Result<R, E> {
        self.change_locked(self.changing.lock(), change)
    }

    /// Removes a limit by `remove`, and its local changes with it. No change is made in between.
    pub(crate) fn remove<R, E>(&self, uid: &str, remove: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        let changing = self.changing.lock();
        let removed = remove()?;
        if self.live.load().has(uid) {
            self.change_locked(changing, |live| {
                live.forget(uid);
                Ok(())
            })?;
        }
        Ok(removed)
    }

    fn change_locked<R, E>(
        &self,
        changing: MutexGuard<'_, ()>,
        change: impl FnOnce(&mut Live) -> Result<R, E>,
    ) -> Result<R, E> {
        let mut live = Live::clone(&self.live.load());
        let result = change(&mut live);
        let unused = if result.is_ok() {
            live.settle(self.clock.now());
            let is_empty = live.is_empty();
            let before = self.live.swap(Arc::new(live));
            self.has_changes.store(!is_empty, Ordering::Release);
            before
        } else {
            Arc::new(live)
        };
        // Functions of the app are dropped without the lock.
        drop(changing);
        drop(unused);
        result
    }

    pub(crate) fn clock(&self) -> &AnyClock {
        &self.clock
    }
}

/// Those of an app without a clock of its own.
impl Default for Changes {
    fn default() -> Self {
        Self::new(AnyClock::system())
    }
}

/// Shows no clients.
impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("has_changes", &self.has_changes).finish_non_exhaustive()
    }
}
