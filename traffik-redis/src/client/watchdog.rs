//! Detects a dead connection before the system does: calls wait, and none is answered.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::{sync::Notify, time::sleep};

use super::{CallError, Reply, connection_counts::ConnectionCounts, timeouts::Timeouts};

pub(super) struct Watchdog {
    timeouts: Timeouts,
    counts: Arc<ConnectionCounts>,
    calls: Mutex<Calls>,
    /// Notified when a call begins.
    began: Notify,
    /// Notified when the server answers that it may not write: it was demoted, and another server is the primary.
    demoted: Notify,
}

struct Calls {
    /// The number of the latest call, and when it began.
    last: (u64, Instant),
    /// The highest number of a call that has ended. Answers arrive in order, so earlier calls do not wait.
    last_ended: u64,
    /// Since when calls wait without any answer.
    since: Instant,
}

/// A call that waits for its answer.
pub(super) struct Waiting<'a> {
    watchdog: &'a Watchdog,
    number: u64,
}

impl Watchdog {
    pub(super) fn new(timeouts: Timeouts, counts: Arc<ConnectionCounts>) -> Self {
        let now = Instant::now();
        let calls = Mutex::new(Calls { last: (0, now), last_ended: 0, since: now });
        Self { timeouts, counts, calls, began: Notify::new(), demoted: Notify::new() }
    }

    pub(super) fn wait(&self) -> Waiting<'_> {
        let (mut calls, now) = (self.calls(), Instant::now());
        if calls.last.0 == calls.last_ended {
            calls.since = now;
        }
        calls.last = (calls.last.0 + 1, now);
        self.began.notify_one();
        Waiting { watchdog: self, number: calls.last.0 }
    }

    /// Waits until the connection has to be replaced, though it was not closed. Returns the reason.
    pub(super) async fn fails(&self) -> &'static str {
        let why = tokio::select! {
            () = self.silent() => "the server stopped answering calls",
            () = self.demoted.notified() => "the server has become a replica, and limits need the primary",
        };
        self.counts.give_up();
        why
    }

    /// Waits until calls have waited continuously for `silence`, without a single answer.
    async fn silent(&self) {
        self.calls().since = Instant::now();
        loop {
            while !self.is_awaited() {
                self.began.notified().await;
            }
            let slept = Instant::now();
            sleep(Timeouts::WATCH).await;
            if slept.elapsed() > 3 * Timeouts::WATCH {
                // This process was delayed. There may be answers that it has not read yet.
                self.calls().since = Instant::now();
            } else if self.is_awaited() && self.calls().since.elapsed() >= self.timeouts.silence {
                return;
            }
        }
    }

    /// Returns whether a call waits. One that waits longer than its timeout is in a blocked runtime, and proves nothing.
    fn is_awaited(&self) -> bool {
        let calls = self.calls();
        calls.last.0 > calls.last_ended && calls.last.1.elapsed() <= self.timeouts.answer
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
        self.watchdog.calls().since = Instant::now();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut calls = self.watchdog.calls();
        calls.last_ended = calls.last_ended.max(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::instruments::Instruments;

    const SILENCE: Duration = Duration::from_millis(100);

    fn watchdog() -> Watchdog {
        let answer = Duration::from_secs(10);
        let counts = ConnectionCounts::new(&Instruments::new("test"));
        Watchdog::new(Timeouts { answer, silence: SILENCE, ..Timeouts::new(SILENCE) }, Arc::new(counts))
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
                sleep(Timeouts::WATCH / 2).await;
            }
        };
        tokio::select! {
            _ = watchdog.fails() => panic!("it was alive"),
            _ = timeout(5 * SILENCE, busy) => {}
        }
    }
}
