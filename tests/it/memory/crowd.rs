//! Concurrent threads, with a check that they do not deadlock.

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

/// Runs `work` concurrently on all threads, each with its number, and returns the sum of the results.
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

/// Runs `work`, and fails if its threads deadlock.
pub(super) fn in_finite_time(work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let working = thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    // This takes a second or two. A panic drops the sender, which is no deadlock.
    let waited = is_done.recv_timeout(Duration::from_secs(120));
    assert_ne!(waited, Err(mpsc::RecvTimeoutError::Timeout), "the threads deadlock");
    working.join().unwrap_or_else(|panic| resume_unwind(panic));
}

/// Returns the answer of an in-memory store, which needs no waiting.
#[expect(clippy::panic, reason = "the test fails here")]
pub(super) fn at_hand<T, E: Debug>(answer: impl IntoFuture<Output = Result<T, E>>) -> T {
    match pin!(answer.into_future()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(answer)) => answer,
        Poll::Ready(Err(error)) => panic!("{error:?}"),
        Poll::Pending => panic!("the in-memory store did not answer on the first poll"),
    }
}
