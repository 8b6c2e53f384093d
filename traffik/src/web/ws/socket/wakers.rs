use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Wake, Waker},
};

/// Who is waiting for the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Reader,
    Writer,
}

/// Wakes whoever waits until more can be written.
///
/// The reader writes as well, what clients over the limit are told. In a split socket it is another task than the writer, and
/// a sink remembers only who polled it last: so it is shown this, which remembers both.
#[derive(Debug, Default)]
pub(super) struct Wakers(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Wakers {
    pub(super) fn register(&self, side: Side, waker: &Waker) {
        let mut waiting = self.lock();
        let slot = match side {
            Side::Reader => &mut waiting.reader,
            Side::Writer => &mut waiting.writer,
        };
        if !slot.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *slot = Some(waker.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Waiting { reader, writer } = mem::take(&mut *self.lock());
        reader.into_iter().chain(writer).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn both_sides_are_woken_once() {
        let (wakers, reader, writer) = (Arc::<Wakers>::default(), Arc::<Counter>::default(), Arc::<Counter>::default());
        wakers.register(Side::Writer, &Waker::from(Arc::clone(&writer)));
        wakers.register(Side::Reader, &Waker::from(Arc::clone(&reader)));
        wakers.register(Side::Reader, &Waker::from(Arc::clone(&reader)));

        let woken = || (reader.0.load(Ordering::Relaxed), writer.0.load(Ordering::Relaxed));
        wakers.wake_by_ref();
        assert_eq!(woken(), (1, 1));
        wakers.wake_by_ref();
        assert_eq!(woken(), (1, 1));
    }
}
