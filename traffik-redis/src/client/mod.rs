//! The one place that knows the client libraries: what reaches the server, and what comes back of it.
//!
//! Nothing here knows what a limit is. Nothing outside knows how the server is reached.

mod address;
mod check;
#[cfg(feature = "cluster")]
mod cluster;
mod error;
mod line;
mod pages;
mod pause;
mod pool;
mod pulse;
mod reasons;
mod reply;
mod said;
mod sent;
mod server;
mod settings;
mod standing;
mod task;
#[cfg(feature = "rustls")]
mod tls;

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fred::util::redis_keyslot;
use tokio::{runtime::Handle, sync::watch, time::sleep};

#[cfg(feature = "cluster")]
use self::cluster::Cluster;
pub(crate) use self::{
    error::CallError,
    reasons::of_refusal as in_plain_words,
    reply::Reply,
    sent::Sent,
    settings::{Origin, Settings},
};
use self::{
    pause::Pause,
    pool::Pool,
    server::Server,
    settings::Way,
    standing::{Phase, Standing},
};
use crate::{Error, script::Script};

/// A way to the store. Clones are the same one, and none borrows anything, so that a call can outlive whoever waits for it.
///
/// Each call ends by itself, in an answer or an error, after the client's patience at the latest. It is sent once, unless it
/// surely did not run.
#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    store: Store,
    closed: AtomicBool,
}

enum Store {
    Server(Pool),
    #[cfg(feature = "cluster")]
    Cluster(Cluster),
}

/// How long connecting may take at first. Longer than one attempt, so that the client itself gives up before that.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// How a client is, in numbers.
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
        let (way, patience) = (settings.way()?, settings.patience());
        Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let client = Self::new(match way {
            Way::Server(config) => Store::Server(Pool::connect(&config, patience, settings.pool_size).await?),
            #[cfg(feature = "cluster")]
            Way::Cluster(config) => Store::Cluster(Cluster::connect(config, patience).await?),
            Way::Own(client) => Store::Server(Pool::of(Server::of(client, patience))),
        });
        check::check(&client, probe).await?;
        Ok(client)
    }

    /// Connects in the background, and tells the log what would have been an error.
    pub(crate) fn connect_later(settings: &Settings, probe: String) -> Result<Self, Error> {
        let (way, patience) = (settings.way()?, settings.patience());
        Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let client = Self::new(match way {
            Way::Server(config) => Store::Server(Pool::connect_later(&config, patience, settings.pool_size)?),
            #[cfg(feature = "cluster")]
            Way::Cluster(config) => Store::Cluster(Cluster::connect_later(config, patience)),
            Way::Own(client) => Store::Server(Pool::of(Server::of(client, patience))),
        });
        let phases = client.0.store.standing().phases();
        tokio::spawn(check_later(Arc::downgrade(&client.0), phases, probe));
        Ok(client)
    }

    fn new(store: Store) -> Self {
        Self(Arc::new(Inner { store, closed: AtomicBool::new(false) }))
    }

    /// Whether the keys of one call have to be in one slot.
    pub(crate) fn is_cluster(&self) -> bool {
        !matches!(self.0.store, Store::Server(_))
    }

    /// Waits until there is a connection, or it is known that there is none.
    pub(crate) async fn ready(&self) -> Result<(), CallError> {
        match self.open()? {
            Store::Server(pool) => pool.ready().await,
            #[cfg(feature = "cluster")]
            Store::Cluster(cluster) => cluster.ready().await,
        }
    }

    /// Runs a program. One that the server does not know, as after a restart, is sent whole. `sent` says at any time whether
    /// the program may have run; the future can be dropped where it has not.
    pub(crate) async fn run(
        &self,
        script: &Script,
        keys: &[String],
        args: Vec<Vec<u8>>,
        sent: &Sent,
    ) -> Result<Reply, CallError> {
        match self.open()? {
            Store::Server(pool) => pool.next().run(script, keys, args, sent).await,
            #[cfg(feature = "cluster")]
            Store::Cluster(cluster) => cluster.run(script, keys, args, sent).await,
        }
    }

    /// Removes keys.
    pub(crate) async fn remove(&self, keys: &[String], sent: &Sent) -> Result<(), CallError> {
        match self.open()? {
            Store::Server(pool) => pool.next().remove(keys, sent).await,
            #[cfg(feature = "cluster")]
            Store::Cluster(cluster) => cluster.remove(keys, sent).await,
        }
    }

    /// Removes the keys that match a pattern, some at a time; what is written meanwhile may stay. Each page is a call.
    pub(crate) async fn clear(&self, pattern: &str) -> Result<(), CallError> {
        match self.open()? {
            Store::Server(pool) => pool.next().clear(pattern).await,
            #[cfg(feature = "cluster")]
            Store::Cluster(cluster) => cluster.clear(pattern).await,
        }
    }

    /// Asks some server something.
    async fn command(&self, name: &'static str, words: &[&str]) -> Result<Reply, CallError> {
        match self.open()? {
            Store::Server(pool) => pool.first().command(name, words).await,
            #[cfg(feature = "cluster")]
            Store::Cluster(cluster) => cluster.command(name, words).await,
        }
    }

    /// How many connections calls are spread over.
    pub(crate) fn connections(&self) -> usize {
        self.health().connections
    }

    /// Lets go of all connections. What is under way ends at once, in doubt.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        match &self.0.store {
            Store::Server(pool) => pool.all().for_each(Server::close),
            #[cfg(feature = "cluster")]
            Store::Cluster(cluster) => cluster.close(),
        }
    }

    pub(crate) fn health(&self) -> Health {
        match &self.0.store {
            Store::Server(pool) => pool.health(),
            #[cfg(feature = "cluster")]
            Store::Cluster(cluster) => cluster.health(),
        }
    }

    fn open(&self) -> Result<&Store, CallError> {
        if self.0.closed.load(Ordering::Acquire) { Err(CallError::Closed) } else { Ok(&self.0.store) }
    }
}

impl Store {
    fn standing(&self) -> &Standing {
        match self {
            Self::Server(pool) => pool.first().line().standing(),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.standing(),
        }
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
        f.debug_struct("Client")
            .field("is_cluster", &self.is_cluster())
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}
