use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::observe::{Gauge, LogThrottle, metric};

/// The number of callers that wait for a throttle.
#[derive(Debug)]
pub(crate) struct Waiters {
    label: Arc<str>,
    max: usize,
    count: AtomicUsize,
    gauge: Gauge,
    /// Bounds the log lines about too many waiters.
    pub(crate) full: LogThrottle,
}

/// The slot of one waiter, until it is dropped.
#[derive(Debug)]
pub(crate) struct WaiterSlot(Arc<Waiters>);

impl Waiters {
    pub(super) fn new(label: &Arc<str>, max: usize) -> Arc<Self> {
        let (label, gauge, full) = (Arc::clone(label), Gauge::default(), LogThrottle::default());
        Arc::new(Self { label, max, count: AtomicUsize::new(0), gauge, full })
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    fn show(&self, change: f64) {
        self.gauge.add(&metric::WAITING_CALLERS, &[&self.label], change);
    }
}

impl WaiterSlot {
    /// Takes a slot. Returns `None` if all slots are taken.
    pub(crate) fn reserve(waiters: &Arc<Waiters>) -> Option<Self> {
        let Waiters { max, count, .. } = &**waiters;
        let one_more = |waiting: usize| (waiting < *max).then_some(waiting + 1);
        count.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok()?;
        waiters.show(1.0);
        Some(Self(Arc::clone(waiters)))
    }
}

impl Drop for WaiterSlot {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.show(-1.0);
    }
}
