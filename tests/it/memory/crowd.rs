//! Threads that do something at once, and nobody who waits for ever.

use std::{
    fmt::Debug,
    panic::resume_unwind,
    pin::pin,
    sync::{Barrier, mpsc},
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

pub(super) const THREADS: u64 = 8;

/// Runs `work` on all threads at once, each with its number, and adds up what they return.
pub(super) fn at_once(work: impl Fn(u64) -> u64 + Sync) -> u64 {
    let barrier = Barrier::new(usize::try_from(THREADS).unwrap_or(1));
    thread::scope(|scope| {
        let (work, barrier) = (&work, &barrier);
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    barrier.wait();
                    work(thread)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).sum()
    })
}

/// Runs `work`, and fails rather than to wait for ever where its threads wait for each other.
pub(super) fn in_finite_time(work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let working = thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    // It takes a second or two. Where it panics its end of the channel is gone, and that is no waiting.
    let waited = is_done.recv_timeout(Duration::from_secs(120));
    assert_ne!(waited, Err(mpsc::RecvTimeoutError::Timeout), "threads wait for each other");
    working.join().unwrap_or_else(|panic| resume_unwind(panic));
}

/// What a store in memory answers, which it does at once.
#[expect(clippy::panic, reason = "the test fails here")]
pub(super) fn at_hand<T, E: Debug>(answer: impl IntoFuture<Output = Result<T, E>>) -> T {
    match pin!(answer.into_future()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(answer)) => answer,
        Poll::Ready(Err(error)) => panic!("{error:?}"),
        Poll::Pending => panic!("the store in memory waits"),
    }
}
