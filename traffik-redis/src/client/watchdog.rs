//! Detects a dead connection before the system does: calls wait, and none is answered.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::Notify, time::sleep};

use super::{CallError, Reply, timeouts::Timeouts};

/// The interval of the checks while calls wait.
const EVERY: Duration = Duration::from_millis(25);

pub(super) struct Watchdog {
    timeouts: Timeouts,
    given_up: Arc<AtomicU64>,
    calls: Mutex<Calls>,
    /// Notified when a call begins while no other call waits.
    began: Notify,
    /// Notified when the server answers that it may not write: it was demoted, and another server is the primary.
    demoted: Notify,
}

struct Calls {
    waiting: usize,
    /// The number of the latest call, and when it began.
    last: (u64, Instant),
    /// The highest number of an answered call.
    last_answered: u64,
    answers: u64,
}

/// A call that waits for its answer.
pub(super) struct Waiting<'a> {
    watchdog: &'a Watchdog,
    number: u64,
}

impl Watchdog {
    pub(super) fn new(timeouts: Timeouts, given_up: Arc<AtomicU64>) -> Self {
        let calls = Calls { waiting: 0, last: (0, Instant::now()), last_answered: 0, answers: 0 };
        Self { timeouts, given_up, calls: Mutex::new(calls), began: Notify::new(), demoted: Notify::new() }
    }

    pub(super) fn wait(&self) -> Waiting<'_> {
        let mut calls = self.calls();
        calls.waiting += 1;
        calls.last = (calls.last.0 + 1, Instant::now());
        self.began.notify_one();
        Waiting { watchdog: self, number: calls.last.0 }
    }

    /// Waits until the connection has to be replaced, though it was not closed. Returns the reason.
    pub(super) async fn fails(&self) -> &'static str {
        let why = tokio::select! {
            () = self.silent() => "the server stopped answering calls",
            () = self.demoted.notified() => "the server has become a replica, and limits need the primary",
        };
        self.given_up.fetch_add(1, Ordering::Relaxed);
        why
    }

    /// Waits until calls have waited continuously for `silence`, without a single answer.
    async fn silent(&self) {
        let mut silence: Option<(Instant, u64)> = None;
        loop {
            while self.answers_awaited().is_none() {
                silence = None;
                self.began.notified().await;
            }
            let slept = Instant::now();
            sleep(EVERY).await;
            // If this process was delayed, there may be answers that it has not read yet.
            let held_up = slept.elapsed() > 3 * EVERY;
            let awaited = self.answers_awaited();
            match silence {
                Some((since, before)) if awaited == Some(before) && !held_up => {
                    if since.elapsed() >= self.timeouts.silence {
                        return;
                    }
                }
                _ => silence = awaited.map(|answers| (Instant::now(), answers)),
            }
        }
    }

    /// Returns the number of answers so far, if a call waits for one.
    fn answers_awaited(&self) -> Option<u64> {
        let calls = self.calls();
        let (last, at) = calls.last;
        // Answers arrive in order, so an answer also proves that earlier calls are alive. A call that waits longer than
        // its timeout is in a blocked runtime, and proves nothing.
        let is_awaited = calls.waiting > 0 && last > calls.last_answered && at.elapsed() <= self.timeouts.answer;
        is_awaited.then_some(calls.answers)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting<'_> {
    pub(super) fn end(self, answer: &Result<Reply, CallError>) {
        match answer {
            // Inside a script, the error has a prefix. This is not kept for the next connection, which may lead to
            // another server.
            Err(CallError::Refused(reason)) if reason.contains("READONLY") => self.watchdog.demoted.notify_waiters(),
            Ok(_) | Err(CallError::Refused(_)) => {}
            Err(_) => return,
        }
        let mut calls = self.watchdog.calls();
        calls.last_answered = calls.last_answered.max(self.number);
        calls.answers += 1;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.watchdog.calls().waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SILENCE: Duration = Duration::from_millis(100);

    fn watchdog() -> Watchdog {
        let answer = Duration::from_secs(10);
        Watchdog::new(Timeouts { answer, silence: SILENCE, ..Timeouts::new(SILENCE) }, Arc::default())
    }

    async fn fails(watchdog: &Watchdog) -> bool {
        timeout(5 * SILENCE, watchdog.fails()).await.is_ok()
    }

    fn answer(watchdog: &Watchdog) {
        watchdog.wait().end(&Ok(Reply::Nothing));
    }

    #[tokio::test]
    async fn call_without_an_answer_is_noticed() {
        let watchdog = watchdog();
        let _call = watchdog.wait();
        assert!(fails(&watchdog).await);
    }

    #[tokio::test]
    async fn kept_call_says_nothing_once_a_later_one_was_answered() {
        let watchdog = watchdog();
        let _kept = watchdog.wait();
        answer(&watchdog);
        assert!(!fails(&watchdog).await);
        let _silent = watchdog.wait();
        assert!(fails(&watchdog).await);
    }

    #[tokio::test]
    async fn silence_without_a_call_is_none() {
        let watchdog = watchdog();
        drop(watchdog.wait());
        assert!(!fails(&watchdog).await);
    }

    #[tokio::test]
    async fn later_call_is_noticed_too() {
        let watchdog = watchdog();
        let later = async {
            sleep(SILENCE / 2).await;
            watchdog.wait()
        };
        let (failed, _call) = tokio::join!(fails(&watchdog), later);
        assert!(failed);
    }

    #[tokio::test]
    async fn answers_to_other_calls_are_a_sign_of_life() {
        let watchdog = watchdog();
        let _call = watchdog.wait();
        let busy = async {
            loop {
                answer(&watchdog);
                sleep(EVERY / 2).await;
            }
        };
        tokio::select! {
            _ = watchdog.fails() => panic!("it was alive"),
            _ = timeout(5 * SILENCE, busy) => {}
        }
    }
}
