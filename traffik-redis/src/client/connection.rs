//! One connection to one server, over all the times that it is lost and made again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::{
    CallError, Reply, Sent,
    command::Command,
    reasons::Reason,
    supervisor::{Attempt, Driver, Supervised, Supervisor},
    timeouts::Timeouts,
    watchdog::Watchdog,
};

/// What a client library does for a connection.
pub(super) trait Link: Send + Sync + 'static {
    /// The address of the server, for errors.
    fn server(&self) -> String;

    /// Connects, once.
    fn connect(&self) -> BoxFuture<'_, Result<Driver, Reason>>;

    fn is_connected(&self) -> bool;

    /// Sends a command, once. The answer may be an error of the server.
    fn send(&self, command: Command) -> BoxFuture<'_, Result<Reply, CallError>>;

    /// Cleans up once there is no connection.
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
    /// Whether there was a connection before.
    has_worked: AtomicBool,
}

impl Connection {
    /// Is not connected before it is started. `given_up` counts connections that the system took for alive.
    pub(super) fn new(link: Arc<dyn Link>, timeouts: Timeouts, given_up: &Arc<AtomicU64>) -> Self {
        let watchdog = Watchdog::new(timeouts, Arc::clone(given_up));
        let watched = Arc::new(Watched { link, watchdog, has_worked: AtomicBool::new(false) });
        Self { supervisor: Supervisor::new(watched.clone(), timeouts), watched, timeouts }
    }

    pub(super) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    pub(super) fn is_up(&self) -> bool {
        self.supervisor.status().is_up() && self.watched.link.is_connected()
    }

    /// Sends a command if there is a connection, or once there is for the first time.
    ///
    /// Runs in tasks only: a caller that is not polled must not look like a server that does not answer.
    pub(super) async fn call(&self, command: Command, sent: &Sent) -> Result<Reply, CallError> {
        self.supervisor.ready().await?;
        let Watched { link, watchdog, .. } = &*self.watched;
        // The library would keep the call, and run it once it is connected.
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
            let watched = async move {
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
