//! A connection to one server, which is made again each time it is lost.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::{
    CallError, Reply, Sent,
    command::Command,
    connection_counts::ConnectionCounts,
    reasons::Reason,
    supervisor::{Attempt, Driver, Supervised, Supervisor},
    timeouts::Timeouts,
    watchdog::Watchdog,
};

/// The operations of a client library for one connection.
pub(super) trait Link: Send + Sync + 'static {
    /// Returns the address of the server, for errors.
    fn server(&self) -> String;

    /// Connects. Makes one attempt.
    fn connect(&self) -> BoxFuture<'_, Result<Driver, Reason>>;

    fn is_connected(&self) -> bool;

    /// Sends a command once. The answer may be an error of the server.
    fn send(&self, command: Command) -> BoxFuture<'_, Result<Reply, CallError>>;

    /// Cleans up after the connection is lost.
    fn lost(&self) {}
}

pub(super) struct Connection {
    watched: Arc<Watched>,
    supervisor: Supervisor,
    timeouts: Timeouts,
}

struct Watched {
    link: Arc<dyn Link>,
    watchdog: Watchdog,
    counts: Arc<ConnectionCounts>,
    /// Set once a connection has worked.
    has_worked: AtomicBool,
}

impl Connection {
    /// Creates a connection that connects once it is started.
    pub(super) fn new(link: Arc<dyn Link>, timeouts: Timeouts, counts: &Arc<ConnectionCounts>) -> Self {
        let (watchdog, counts) = (Watchdog::new(timeouts, Arc::clone(counts)), Arc::clone(counts));
        let watched = Arc::new(Watched { link, watchdog, counts, has_worked: AtomicBool::new(false) });
        Self { supervisor: Supervisor::new(watched.clone(), timeouts), watched, timeouts }
    }

    pub(super) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
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
        let answer = match timeout(self.timeouts.answer, link.send(command)).await {
            Ok(Ok(Reply::Error(reason))) => Err(CallError::Refused(reason)),
            Ok(answer) => answer,
            Err(_) => Err(CallError::silence(self.timeouts.answer, sent)),
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
            let driver = self.link.connect().await.map_err(|reason| {
                let reason = reason.at(self.link.server());
                if self.has_worked.load(Ordering::Relaxed) { reason.without_doubt() } else { reason }
            })?;
            self.has_worked.store(true, Ordering::Relaxed);
            let up = self.counts.connected();
            let watched = async move {
                let _up = up;
                let why = tokio::select! {
                    why = driver => why,
                    why = self.watchdog.fails() => why.to_owned(),
                };
                format!("{}: a working connection was lost: {why}", self.link.server())
            };
            Ok(Box::pin(watched) as Driver)
        })
    }

    fn lost(&self) {
        self.link.lost();
    }
}
