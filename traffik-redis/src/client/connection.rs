//! A connection to one server, which is made again each time it is lost. Its watchdog detects a dead connection before the
//! system does: calls wait, and none is answered.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use fred::error::Error as FredError;
use futures_util::future::BoxFuture;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::{
    CallError, Reply, Sent,
    command::Command,
    error::Reason,
    supervisor::{Attempt, Driver, Supervised, Supervisor},
    timeouts::Timeouts,
};
use crate::{
    instruments::{Count, Counts},
    lock::lock,
};

/// The operations of a client library for one connection.
pub(super) trait Link: Send + Sync + 'static {
    /// Returns the address of the server, for errors.
    fn server(&self) -> String;

    /// Connects. Makes one attempt.
    fn connect(&self) -> BoxFuture<'_, Result<Driver, FredError>>;

    fn is_connected(&self) -> bool;

    /// Sends a command once. The answer may be an error of the server.
    fn send(&self, command: Command) -> BoxFuture<'_, Result<Reply, CallError>>;

    /// Cleans up after the connection is lost.
    fn lost(&self) {}
}

pub(super) struct Connection {
    watched: Arc<Watched>,
    pub(super) supervisor: Supervisor,
}

struct Watched {
    link: Arc<dyn Link>,
    watchdog: Watchdog,
    counts: Arc<Counts>,
    /// Set once a connection has worked.
    has_worked: AtomicBool,
}

impl Connection {
    /// Creates a connection that connects once it is started.
    pub(super) fn new(link: Arc<dyn Link>, timeouts: Timeouts, counts: &Arc<Counts>) -> Self {
        let (watchdog, counts) = (Watchdog::new(timeouts), Arc::clone(counts));
        let watched = Arc::new(Watched { link, watchdog, counts, has_worked: AtomicBool::new(false) });
        Self { supervisor: Supervisor::new(watched.clone(), timeouts), watched }
    }

    pub(super) fn is_up(&self) -> bool {
        self.supervisor.is_up() && self.watched.link.is_connected()
    }

    /// Sends a command if there is a connection. Waits for the first connection.
    ///
    /// Called from tasks only: a caller that is not polled must not look like a server that does not answer.
    pub(super) async fn call(&self, command: Command, sent: &Sent) -> Result<Reply, CallError> {
        self.supervisor.ready().await?;
        let Watched { link, watchdog, .. } = &*self.watched;
        // The library would queue the call, and run it once it is connected.
        if !link.is_connected() {
            return Err(CallError::NotRun("there is no connection".into()));
        }
        let waiting = watchdog.wait();
        sent.add();
        let answer = match timeout(watchdog.timeouts.answer, link.send(command)).await {
            Ok(Ok(Reply::Error(reason))) => Err(CallError::Refused(reason)),
            Ok(answer) => answer,
            Err(_) => Err(CallError::silence(watchdog.timeouts.answer, sent.may_run())),
        };
        if let Err(CallError::NotRun(_) | CallError::Refused(_)) = &answer {
            sent.take_back();
        }
        waiting.end(&answer);
        answer
    }
}

impl Supervised for Watched {
    fn connect(self: Arc<Self>) -> BoxFuture<'static, Attempt> {
        Box::pin(async move {
            let reason = |error| Reason::new(&self.link.server(), error, self.has_worked.load(Ordering::Relaxed));
            let driver = self.link.connect().await.map_err(reason)?;
            self.has_worked.store(true, Ordering::Relaxed);
            let watched = async move {
                let driver = async {
                    tokio::select! {
                        why = driver => why,
                        why = self.watchdog.fails() => {
                            self.counts.add(Count::GivenUp, 1);
                            why.to_owned()
                        }
                    }
                };
                let why = self.counts.connected(driver).await;
                format!("{}: a working connection was lost: {why}", self.link.server())
            };
            Ok(Box::pin(watched) as Driver)
        })
    }

    fn lost(&self) {
        self.link.lost();
    }
}

struct Watchdog {
    timeouts: Timeouts,
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
struct Waiting<'a> {
    watchdog: &'a Watchdog,
    number: u64,
}

impl Watchdog {
    pub(super) fn new(timeouts: Timeouts) -> Self {
        let now = Instant::now();
        let calls = Mutex::new(Calls { last: (0, now), last_ended: 0, since: now });
        Self { timeouts, calls, began: Notify::new(), demoted: Notify::new() }
    }

    fn wait(&self) -> Waiting<'_> {
        let (mut calls, now) = (lock(&self.calls), Instant::now());
        if calls.last.0 == calls.last_ended {
            calls.since = now;
        }
        calls.last = (calls.last.0 + 1, now);
        self.began.notify_one();
        Waiting { watchdog: self, number: calls.last.0 }
    }

    /// Waits until the connection has to be replaced, though it was not closed. Returns the reason.
    async fn fails(&self) -> &'static str {
        tokio::select! {
            () = self.silent() => "the server stopped answering calls",
            () = self.demoted.notified() => "the server has become a replica, and limits need the primary",
        }
    }

    /// Waits until calls have waited continuously for `silence`, without a single answer.
    async fn silent(&self) {
        lock(&self.calls).since = Instant::now();
        loop {
            while !self.is_awaited() {
                self.began.notified().await;
            }
            let slept = Instant::now();
            sleep(Timeouts::WATCH).await;
            if slept.elapsed() > 3 * Timeouts::WATCH {
                // This process was delayed. There may be answers that it has not read yet.
                lock(&self.calls).since = Instant::now();
            } else if self.is_awaited() && lock(&self.calls).since.elapsed() >= self.timeouts.silence {
                return;
            }
        }
    }

    /// Returns whether a call waits. One that waits longer than its timeout is in a blocked runtime, and proves nothing.
    fn is_awaited(&self) -> bool {
        let calls = lock(&self.calls);
        calls.last.0 > calls.last_ended && calls.last.1.elapsed() <= self.timeouts.answer
    }
}

impl Waiting<'_> {
    fn end(self, answer: &Result<Reply, CallError>) {
        match answer {
            // Inside a script, the error has a prefix. This is not kept for the next connection, which may lead to
            // another server.
            Err(CallError::Refused(reason)) if reason.contains("READONLY") => self.watchdog.demoted.notify_waiters(),
            Ok(_) | Err(CallError::Refused(_)) => {}
            Err(_) => return,
        }
        lock(&self.watchdog.calls).since = Instant::now();
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut calls = lock(&self.watchdog.calls);
        calls.last_ended = calls.last_ended.max(self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const SILENCE: Duration = Duration::from_millis(100);

    fn watchdog() -> Watchdog {
        let answer = Duration::from_secs(10);
        Watchdog::new(Timeouts { answer, silence: SILENCE, ..Timeouts::new(SILENCE) })
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
