use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::body::{Body, HttpBody};
use tokio::{runtime::Handle, sync::Semaphore, task::consume_budget};
use traffik_core::clock::AnyClock;

/// The bounds for reading the bodies of refused requests: bytes, time, and number of concurrent bodies.
#[derive(Debug)]
pub(crate) struct Drain {
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
    pub(crate) bodies: Arc<Semaphore>,
}

impl Default for Drain {
    fn default() -> Self {
        Self { bytes: Self::BYTES, time: Self::TIME, bodies: Arc::new(Semaphore::new(Self::BODIES)) }
    }
}

impl Drain {
    pub(crate) const BYTES: u64 = 16 * 1024 * 1024;
    pub(crate) const TIME: Duration = Duration::from_secs(10);
    pub(crate) const BODIES: usize = 256;

    pub(crate) fn is_off(&self) -> bool {
        self.bytes == 0 || self.time.is_zero()
    }

    /// Reads the body in a task, while the response is sent.
    pub(crate) fn begin(&self, body: Body, clock: AnyClock) {
        // Without a runtime nothing comes over TCP either.
        if let (Ok(runtime), Ok(permit)) = (Handle::try_current(), Arc::clone(&self.bodies).try_acquire_owned()) {
            let (bytes, time) = (self.bytes, self.time);
            runtime.spawn(async move {
                drain(body, bytes, clock.sleep(time)).await;
                drop(permit);
            });
        }
    }
}

async fn drain(mut body: Body, mut bytes: u64, end: impl Future<Output = ()>) {
    let mut end = pin!(end);
    while bytes > 0 {
        // The end is polled first, so that a body that is always ready ends too.
        let frame = poll_fn(|cx| match end.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => Pin::new(&mut body).poll_frame(cx),
        });
        let Some(Ok(frame)) = frame.await else { return };
        // An empty frame counts as one byte, since it is work as well.
        let length = frame.data_ref().map_or(1, |data| data.len().max(1));
        bytes = bytes.saturating_sub(length.try_into().unwrap_or(u64::MAX));
        consume_budget().await;
    }
}
