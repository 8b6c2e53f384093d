use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::observe::LogThrottle;

/// The number of callers that wait for a throttle.
#[derive(Debug)]
pub(crate) struct Waiters {
    max: usize,
    count: AtomicUsize,
    /// Bounds the log lines about too many waiters.
    pub(crate) full: LogThrottle,
}

/// The slot of one waiter, until it is dropped.
#[derive(Debug)]
pub(crate) struct WaiterSlot(Arc<Waiters>);

impl Waiters {
    pub(super) fn up_to(max: usize) -> Arc<Self> {
        Arc::new(Self { max, count: AtomicUsize::new(0), full: LogThrottle::default() })
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }
}

impl WaiterSlot {
    /// Takes a slot. Returns `None` if all slots are taken.
    pub(crate) fn reserve(waiters: &Arc<Waiters>) -> Option<Self> {
        let Waiters { max, count, .. } = &**waiters;
        let one_more = |waiting: usize| (waiting < *max).then_some(waiting + 1);
        count.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        Some(Self(Arc::clone(waiters)))
    }
}

impl Drop for WaiterSlot {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
    }
}
