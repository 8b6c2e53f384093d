//! Slots for requests that are held until their turn, and for callers that wait for one.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use traffik_core::{clock::Timestamp, decision::LimitId, strategy::Strategy};

use crate::observe::{Gauge, LogThrottle, metric};

/// The requests of a throttle that this process holds until their turns.
#[derive(Debug)]
pub(crate) struct Queue {
    max_held: usize,
    /// The limit that decides while all slots are taken.
    pub(crate) when_full: Arc<LimitId>,
    slots: Mutex<Slots>,
    /// Bounds the log lines about a full queue.
    pub(crate) full: LogThrottle,
}

impl Queue {
    /// Creates the queue of a limit. Returns `None` for a strategy that does not delay.
    pub(super) fn by(limit: &LimitId) -> Option<Arc<Self>> {
        let holding = limit.strategy().holding()?;
        let when_full = Arc::new(LimitId::new(limit.uid(), holding.at_once().clone()));
        let (max_held, slots, full) = (holding.max_held(), Mutex::default(), LogThrottle::default());
        Some(Arc::new(Self { max_held, when_full, slots, full }))
    }

    pub(crate) fn max(&self) -> usize {
        self.max_held
    }

    /// Takes a slot until `free_at`, or until the returned value is dropped. Returns `None` if all slots are taken.
    pub(crate) fn reserve_slot(self: &Arc<Self>, now: Timestamp, free_at: Timestamp) -> Option<Arc<QueueSlot>> {
        let mut slots = self.slots.lock();
        while slots.taken.first().is_some_and(|(free_at, _)| *free_at <= now) {
            slots.taken.pop_first();
        }
        if slots.taken.len() >= self.max() {
            return None;
        }
        let id = slots.next_id;
        slots.next_id += 1;
        slots.taken.insert((free_at, id));
        drop(slots);
        let free_at = AtomicU64::new(free_at.as_micros());
        Some(Arc::new(QueueSlot { queue: Arc::clone(self), id, free_at }))
    }
}

#[derive(Debug, Default)]
struct Slots {
    /// When each slot becomes free, and its id. The time is needed because a request that is never polled does not free
    /// its slot.
    taken: BTreeSet<(Timestamp, u64)>,
    next_id: u64,
}

/// A slot for one request, whether or not the request has to wait.
#[derive(Debug)]
pub(crate) struct QueueSlot {
    queue: Arc<Queue>,
    id: u64,
    /// In microseconds. Changes under the lock of the slots.
    free_at: AtomicU64,
}

impl QueueSlot {
    /// Keeps the slot until `free_at`. A slot that was already free is taken again, even if all slots are taken.
    pub(crate) fn keep_until(&self, free_at: Timestamp) {
        let mut slots = self.queue.slots.lock();
        slots.taken.remove(&self.entry());
        self.free_at.store(free_at.as_micros(), Ordering::Relaxed);
        slots.taken.insert(self.entry());
    }

    fn entry(&self) -> (Timestamp, u64) {
        (Timestamp::from_micros(self.free_at.load(Ordering::Relaxed)), self.id)
    }
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        self.queue.slots.lock().taken.remove(&self.entry());
    }
}

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

#[cfg(test)]
mod tests {
    use traffik_core::strategy::{FixedWindow, LeakyBucketWithQueue};

    use super::*;

    fn queue(max_held: usize) -> Option<Arc<Queue>> {
        Queue::by(&LimitId::new("u", LeakyBucketWithQueue::new().max_held(max_held)))
    }

    const fn at(micros: u64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn slot_is_taken_until_its_last_clone_is_dropped() {
        let queue = queue(2).unwrap();
        let reserve = || queue.reserve_slot(at(0), at(10));
        let (first, second) = (reserve(), reserve());
        assert!(first.is_some() && second.is_some() && reserve().is_none());
        let clone = first.clone();
        drop(first);
        assert!(reserve().is_none());
        drop(clone);
        assert!(reserve().is_some());
        assert!(Queue::by(&LimitId::new("u", FixedWindow)).is_none());
    }

    #[test]
    fn slot_is_free_at_its_time() {
        let queue = queue(1).unwrap();
        let slot = queue.reserve_slot(at(0), at(10)).unwrap();
        assert!(queue.reserve_slot(at(9), at(20)).is_none());
        slot.keep_until(at(15));
        assert!(queue.reserve_slot(at(14), at(20)).is_none());
        let other = queue.reserve_slot(at(15), at(20));
        assert!(other.is_some());

        // The first slot is extended late: it counts again, and its end frees no other slot.
        slot.keep_until(at(18));
        drop(slot);
        assert!(queue.reserve_slot(at(16), at(20)).is_none());
        drop(other);
        assert!(queue.reserve_slot(at(16), at(20)).is_some());
    }

    #[test]
    fn threads_that_reserve_together_get_as_many_slots_as_there_are() {
        let queue = queue(3).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let slots = [(); 2].map(|()| queue.reserve_slot(at(0), at(10)));
                        assert!(queue.slots.lock().taken.len() <= 3);
                        slots.iter().flatten().for_each(|slot| slot.keep_until(at(20)));
                    }
                });
            }
        });
        assert!(queue.slots.lock().taken.is_empty());
    }
}
