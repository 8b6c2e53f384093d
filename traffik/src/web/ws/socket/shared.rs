//! What the reader and the writer share: the socket, and its wakers.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use axum::{
    Error,
    extract::ws::{Message, WebSocket},
};
use futures_util::task::AtomicWaker;
use traffik_core::clock::AnyClock;

/// The result of a read: a message, an error, or the end.
pub(super) type Read = Option<Result<Message, Error>>;

pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

pub(super) type Sleep = Boxed<()>;

/// The socket. Its reader and its writer both write to it.
#[derive(Debug)]
pub(super) struct SharedSocket {
    pub(super) socket: WebSocket,
    wakers: Arc<Wakers>,
}

/// The part of the socket that waits to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Reader,
    Writer,
}

/// Wakes the reader and the writer when more can be written.
///
/// The reader writes notifications. In a split socket the reader and the writer are different tasks, and a sink
/// remembers only the task that polled it last. So the sink receives this waker, which remembers both.
#[derive(Debug, Default)]
struct Wakers {
    reader: AtomicWaker,
    writer: AtomicWaker,
}

impl SharedSocket {
    pub(super) fn new(socket: WebSocket) -> Self {
        Self { socket, wakers: Arc::default() }
    }

    /// Polls one of the functions of `Sink`.
    pub(super) fn poll_write(
        &mut self,
        side: Side,
        cx: &Context<'_>,
        poll: fn(Pin<&mut WebSocket>, &mut Context<'_>) -> Poll<Result<(), Error>>,
    ) -> Poll<Result<(), Error>> {
        self.wakers.register(side, cx.waker());
        let waker = Waker::from(Arc::clone(&self.wakers));
        poll(Pin::new(&mut self.socket), &mut Context::from_waker(&waker))
    }

    /// Wakes the reader and the writer.
    pub(super) fn wake(&self) {
        self.wakers.wake_by_ref();
    }
}

impl Wakers {
    fn register(&self, side: Side, waker: &Waker) {
        match side {
            Side::Reader => self.reader.register(waker),
            Side::Writer => self.writer.register(waker),
        }
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.reader.wake();
        self.writer.wake();
    }
}

/// Ends when `duration` has passed, by the app's clock.
pub(super) fn sleep(clock: &AnyClock, duration: Duration) -> Sleep {
    let clock = clock.clone();
    Box::pin(async move { clock.sleep(duration).await })
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
