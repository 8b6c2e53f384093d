//! The one place that knows the client libraries: what reaches the server, and what comes back of it.
//!
//! Nothing here knows what a limit is. Nothing outside knows how the server is reached.

mod address;
mod check;
mod error;
mod line;
mod pages;
mod pause;
mod pool;
mod pulse;
mod reply;
mod server;
mod settings;
mod task;

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use fred::util::redis_keyslot;
pub(crate) use fred::util::sha1_hash as digest;
use tokio::{runtime::Handle, sync::watch, time::sleep};

pub(crate) use self::{
    error::CallError,
    reply::Reply,
    settings::{Origin, Settings},
};
use self::{line::Phase, pause::Pause, pool::Pool, server::Server, settings::Way};
use crate::{Error, scripts::Script};

/// A way to the store. Clones are the same one, and none borrows anything, so that a call can outlive whoever waits for it.
///
/// Each call ends by itself, in an answer or an error, after the client's patience at the latest. It is sent once, unless it
/// surely did not run.
#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    pool: Pool,
    closed: AtomicBool,
}

/// How a client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    /// Connections that are there.
    pub(crate) connected: usize,
    /// Connections that there should be.
    pub(crate) connections: usize,
    /// How often a connection that seemed alive was given up, since nothing was answered on it.
    pub(crate) given_up: u64,
}

impl Client {
    /// Insists on a server that can keep limits. `probe` is a key that nothing is stored under.
    pub(crate) async fn connect(settings: &Settings, probe: String) -> Result<Self, Error> {
        let pool = match settings.way()? {
            Way::Server(config) => Pool::connect(&config, settings.patience(), settings.pool_size).await?,
            Way::Own(client) => Pool::of(Server::of(client, settings.patience())),
        };
        let client = Self::new(pool);
        check::check(&client, probe).await?;
        Ok(client)
    }

    /// Connects in the background, and tells the log what would have been an error.
    pub(crate) fn connect_later(settings: &Settings, probe: String) -> Result<Self, Error> {
        let way = settings.way()?;
        Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let pool = match way {
            Way::Server(config) => Pool::connect_later(&config, settings.patience(), settings.pool_size)?,
            Way::Own(client) => Pool::of(Server::of(client, settings.patience())),
        };
        let client = Self::new(pool);
        tokio::spawn(check_later(Arc::downgrade(&client.0), client.0.pool.first().line().phases(), probe));
        Ok(client)
    }

    fn new(pool: Pool) -> Self {
        Self(Arc::new(Inner { pool, closed: AtomicBool::new(false) }))
    }

    /// Runs a program. One that the server does not know, as after a restart, is sent whole.
    pub(crate) async fn run(&self, script: &Script, keys: &[String], args: Vec<Vec<u8>>) -> Result<Reply, CallError> {
        self.open()?.next().run(script, keys, args).await
    }

    /// Removes keys.
    pub(crate) async fn remove(&self, keys: &[String]) -> Result<(), CallError> {
        self.open()?.next().remove(keys).await
    }

    /// Removes the keys that match a pattern, some at a time; what is written meanwhile may stay. Each page is a call.
    pub(crate) async fn clear(&self, pattern: &str) -> Result<(), CallError> {
        self.open()?.next().clear(pattern).await
    }

    /// Whether each call goes to one slot only.
    pub(crate) fn is_cluster(&self) -> bool {
        false
    }

    /// How many connections calls are spread over.
    pub(crate) fn connections(&self) -> usize {
        self.0.pool.all().count()
    }

    /// Asks some server something.
    async fn command(&self, name: &'static str, words: &[&str]) -> Result<Reply, CallError> {
        self.open()?.first().command(name, words).await
    }

    /// Lets go of all connections. What is under way ends at once, in doubt.
    pub(crate) async fn close(&self) -> Result<(), CallError> {
        self.0.closed.store(true, Ordering::Release);
        self.0.pool.all().for_each(Server::close);
        Ok(())
    }

    pub(crate) fn health(&self) -> Health {
        let all = self.0.pool.all();
        Health {
            connected: all.clone().filter(|server| server.is_connected()).count(),
            connections: all.clone().count(),
            given_up: all.map(|server| server.line().given_up()).sum(),
        }
    }

    fn open(&self) -> Result<&Pool, CallError> {
        if self.0.closed.load(Ordering::Acquire) { Err(CallError::Closed) } else { Ok(&self.0.pool) }
    }
}

/// What is wrong with a server that was not there when it was connected to, said once.
async fn check_later(client: Weak<Inner>, mut phases: watch::Receiver<Phase>, probe: String) {
    let mut pause = Pause::shortest();
    // Whoever drops the client ends this.
    while phases.wait_for(|phase| matches!(phase, Phase::Up)).await.is_ok() {
        let Some(client) = client.upgrade().map(Client) else { return };
        match check::check(&client, probe.clone()).await {
            // The connection was lost again meanwhile.
            Err(Error::Connect(_)) => sleep(pause.next()).await,
            Err(error) => return tracing::error!("every decision will be an error: {error}"),
            Ok(()) => return,
        }
    }
}

/// Where a cluster keeps a key.
pub(crate) fn slot_of(key: &str) -> u16 {
    redis_keyslot(key.as_bytes())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("health", &self.health()).finish_non_exhaustive()
    }
}
