//! Waiting where the runtime may have no timer.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
    time::Duration,
};

use crate::clock::AnyClock;

/// How long a thread sleeps that waits in place of a timer. A runtime that ends waits for it.
const SLICE: Duration = Duration::from_millis(20);

/// Whether a runtime was met that has no timer.
#[derive(Debug, Default)]
pub(super) struct Timers {
    are_missing: AtomicBool,
}

/// Ends after so much time on the clock, or sooner.
///
/// A runtime that was built without timers panics when it is asked for one, and there is no other way to know. A place that
/// is not renewed for that would be given to others while it is held, so then a thread sleeps.
pub(super) async fn sleep(clock: &AnyClock, wait: Duration, timers: &Timers) {
    if !timers.are_missing.load(Ordering::Relaxed) {
        let mut sleep = pin!(clock.sleep(wait));
        let is_over = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| sleep.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => Poll::Ready(true),
            Err(_no_timer) => Poll::Ready(false),
        });
        if is_over.await {
            return;
        }
        timers.are_missing.store(true, Ordering::Relaxed);
        tracing::error!(
            "the runtime has no timer: call `enable_time()` or `enable_all()` on its builder. Until then a thread wakes up \
             often, to renew the places that are held"
        );
    }
    // It is no matter whether it slept.
    let _ = tokio::task::spawn_blocking(move || std::thread::sleep(wait.min(SLICE))).await;
}
