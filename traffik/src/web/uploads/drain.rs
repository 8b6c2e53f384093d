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

use crate::engine::TraffikBuilder;

/// How much of the body of a refused request is read, for how long, and of how many at once.
#[derive(Debug)]
pub(in crate::web) struct Drain {
    bytes: u64,
    time: Duration,
    bodies: Arc<Semaphore>,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            bytes: TraffikBuilder::DEFAULT_DRAIN_LIMIT,
            time: TraffikBuilder::DEFAULT_DRAIN_TIMEOUT,
            bodies: Arc::new(Semaphore::new(TraffikBuilder::DEFAULT_DRAINS_AT_ONCE)),
        }
    }
}

/// With feature `axum`.
impl TraffikBuilder {
    /// The most that is read of the body of a refused request, unless told otherwise: 16 MiB.
    pub const DEFAULT_DRAIN_LIMIT: u64 = 16 * 1024 * 1024;

    /// The longest that it is read, unless told otherwise: 10 s.
    pub const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

    /// The most bodies that are read at once, unless told otherwise: 256.
    pub const DEFAULT_DRAINS_AT_ONCE: usize = 256;

    /// Reads so many bytes of the body of a request that is turned away, and drops them, so that a client that is still
    /// writing gets to read why: 16 MiB unless told otherwise. With 0 nothing is read.
    ///
    /// What is longer, or takes longer than [`drain_timeout`](Self::drain_timeout), ends with the connection, and many
    /// clients never see the response then. It goes out at once either way. Bodies are drained where they are axum's
    /// [`Body`], and came by HTTP/1.
    ///
    /// ```
    /// use traffik::{Traffik, backend::MemoryBackend};
    ///
    /// // Uploads of up to 100 MB.
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp")).drain_limit(100_000_000).build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    pub fn drain_limit(mut self, bytes: u64) -> Self {
        self.web.drain.bytes = bytes;
        self
    }

    /// Reads the body of a request that is turned away for no longer than this: 10 s unless told otherwise. With none
    /// nothing is read. A client that sends slowly can hold its connection so much longer.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.web.drain.time = timeout;
        self
    }

    /// Reads so many bodies of requests that are turned away at once: 256 unless told otherwise. A connection whose turn it
    /// is not ends with its response. A server that reads a body holds about 400 kB for it.
    pub fn drains_at_once(mut self, bodies: usize) -> Self {
        self.web.drain.bodies = Arc::new(Semaphore::new(bodies.min(Semaphore::MAX_PERMITS)));
        self
    }
}

impl Drain {
    pub(super) fn is_off(&self) -> bool {
        self.bytes == 0 || self.time.is_zero()
    }

    /// Reads the body in a task, while the response goes out.
    pub(super) fn begin(&self, body: Body, clock: AnyClock) {
        // Without a runtime nothing comes by TCP either.
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
        // An empty frame is work as well.
        let length = frame.data_ref().map_or(1, |data| data.len().max(1));
        bytes = bytes.saturating_sub(length.try_into().unwrap_or(u64::MAX));
        consume_budget().await;
    }
}
