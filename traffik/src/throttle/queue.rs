use std::sync::Arc;
#[cfg(feature = "axum")]
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(feature = "axum")]
use crate::occasionally::Occasionally;
use crate::strategy::{AnyStrategy, Holding, Strategy};

/// The requests of a throttle that this process holds until it is their turn.
#[derive(Debug)]
pub(crate) struct Queue {
    holding: Holding,
    #[cfg(feature = "axum")]
    count: AtomicUsize,
    /// When it was said last that there is room for no more.
    #[cfg(feature = "axum")]
    pub(crate) full: Occasionally,
}

impl Queue {
    /// Nothing, for strategies that delay nothing.
    pub(super) fn by(strategy: &AnyStrategy) -> Option<Arc<Self>> {
        let holding = strategy.holding()?;
        Some(Arc::new(Self {
            holding,
            #[cfg(feature = "axum")]
            count: AtomicUsize::new(0),
            #[cfg(feature = "axum")]
            full: Occasionally::default(),
        }))
    }

    /// What decides while there is room for no more.
    pub(crate) fn at_once(&self) -> &AnyStrategy {
        self.holding.at_once()
    }
}

#[cfg(feature = "axum")]
impl Queue {
    pub(crate) fn max(&self) -> usize {
        self.holding.max_held()
    }

    /// Room for one more, if there is any, for as long as what is returned is kept.
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Arc<Room>> {
        let one_more = |count: usize| (count < self.max()).then_some(count + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Arc::new(Room { queue: Arc::clone(self) }))
    }
}

/// Room for one request, whether it has to be held or not.
#[cfg(feature = "axum")]
#[derive(Debug)]
pub(crate) struct Room {
    queue: Arc<Queue>,
}

#[cfg(feature = "axum")]
impl Drop for Room {
    fn drop(&mut self) {
        self.queue.count.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, feature = "axum"))]
mod tests {
    use super::*;
    use crate::strategy::{FixedWindow, LeakyBucketWithQueue};

    #[test]
    fn there_is_room_for_so_many_until_one_leaves() {
        let queue = Queue::by(&LeakyBucketWithQueue::new().max_held(2).into()).unwrap();
        let (first, second) = (queue.reserve(), queue.reserve());
        assert!(first.is_some() && second.is_some() && queue.reserve().is_none());
        let again = first.clone();
        drop(first);
        assert!(queue.reserve().is_none(), "a clone is the same room");
        drop(again);
        assert!(queue.reserve().is_some());
        assert!(Queue::by(&FixedWindow.into()).is_none());
    }

    #[test]
    fn however_many_threads_come_at_once_there_is_room_for_so_many() {
        let queue = Queue::by(&LeakyBucketWithQueue::new().max_held(3).into()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let rooms = [queue.reserve(), queue.reserve()];
                        assert!(queue.count.load(Ordering::Relaxed) <= 3);
                        drop(rooms);
                    }
                });
            }
        });
        assert_eq!(queue.count.load(Ordering::Relaxed), 0);
    }
}
