//! The handle that the rest of the crate calls servers by.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use fred::types::config::Config;
use futures_util::future::join_all;
use tokio::{runtime::Handle, sync::watch, time::sleep};

#[cfg(feature = "cluster")]
use super::cluster::Cluster;
use super::{
    CallError, Reply, Sent, address,
    command::{Command, Script},
    connection::Connection,
    fred_link::FredLink,
    slot_of,
    supervisor::{Backoff, Phase, Supervisor},
    timeouts::Timeouts,
};
use crate::{
    Error,
    instruments::{Counts, RedisStats},
};

/// The approximate number of keys that the server examines per page of a scan.
const PAGE: &str = "1000";

/// Calls the server. Clones share the same connections. The methods borrow nothing from a caller, so a call can outlive
/// its caller.
///
/// Each call ends by itself, with an answer or an error. It is sent once, unless it certainly did not run.
#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    servers: Servers,
    counts: Arc<Counts>,
    closed: AtomicBool,
}

/// Finds the times at which a client is connected, until the client is dropped.
pub(crate) struct Reachable {
    client: Weak<Inner>,
    phases: watch::Receiver<Phase>,
    backoff: Backoff,
}

impl Reachable {
    /// Waits for a while, and until the server is connected. Returns `None` after the client is dropped.
    pub(crate) async fn next(&mut self) -> Option<Client> {
        sleep(self.backoff.next()).await;
        self.phases.wait_for(|phase| matches!(phase, Phase::Up)).await.ok()?;
        self.client.upgrade().map(Client)
    }
}

impl Client {
    /// Creates a client without connecting.
    pub(crate) fn new(settings: &Settings, counts: Arc<Counts>) -> Result<Self, Error> {
        let servers = Servers::new(settings, &counts)?;
        Handle::try_current().map_err(|_| Error::NoRuntime)?;
        Ok(Self(Arc::new(Inner { servers, counts, closed: AtomicBool::new(false) })))
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// Connects, and keeps connected.
    pub(crate) async fn connect(&self) -> Result<(), Error> {
        self.0.servers.supervisor().connect().await?;
        self.start();
        Ok(())
    }

    /// Connects in the background.
    pub(crate) fn start(&self) {
        self.0.servers.supervisor().start();
        self.0.servers.connections().iter().for_each(|connection| connection.supervisor.start());
    }

    pub(crate) fn reachable(&self) -> Reachable {
        let phases = self.0.servers.supervisor().phases();
        Reachable { client: Arc::downgrade(&self.0), phases, backoff: Backoff::new() }
    }

    /// Returns whether the keys of one call have to be in one slot.
    pub(crate) fn is_cluster(&self) -> bool {
        !matches!(self.0.servers, Servers::Single { .. })
    }

    /// Waits until there is a connection, or until the first attempt has failed.
    pub(crate) async fn ready(&self) -> Result<(), CallError> {
        self.open()?.ready().await
    }

    /// Runs a script. Sends its text if the server does not know it, as after a restart. `sent` records at any time
    /// whether the script may have run. The future can be dropped if it has not.
    pub(crate) async fn run(
        &self,
        script: &Script,
        keys: &[String],
        args: &[Vec<u8>],
        sent: &Sent,
    ) -> Result<Reply, CallError> {
        let (servers, slot) = (self.open()?, keys.first().map_or(0, |key| slot_of(key)));
        let command =
            |name, script: &str| Command::new(name, slot).arg(script).arg(keys.len().to_string()).args(keys).args(args);
        match servers.call(command("EVALSHA", &script.sha), sent).await {
            Err(CallError::Refused(reason)) if reason.starts_with("NOSCRIPT") => {
                servers.call(command("EVAL", &script.text), sent).await
            }
            answer => answer,
        }
    }

    /// Removes keys, in one call per slot.
    pub(crate) async fn remove(&self, keys: &[String], sent: &Sent) -> Result<(), CallError> {
        let servers = self.open()?;
        let mut groups: BTreeMap<u16, Vec<&String>> = BTreeMap::new();
        for key in keys {
            groups.entry(if self.is_cluster() { slot_of(key) } else { 0 }).or_default().push(key);
        }
        let calls = groups.into_iter().map(|(slot, keys)| servers.call(Command::new("UNLINK", slot).args(keys), sent));
        join_all(calls).await.into_iter().try_for_each(|removed| removed.map(drop))
    }

    /// Removes the keys that match a pattern, some at a time. Each page is a call. Keys that are written meanwhile, and
    /// keys whose slot moves, may stay.
    pub(crate) async fn clear(&self, pattern: &str) -> Result<(), CallError> {
        self.ready().await?;
        let all = if self.is_cluster() { self.0.servers.connections() } else { vec![self.any().await?] };
        for connection in all {
            let mut cursor = "0".to_owned();
            loop {
                let command = Command::new("SCAN", 0).args([&cursor, "MATCH", pattern, "COUNT", PAGE]);
                let page = connection.call(command, &Sent::default()).await?;
                let mut items = page.into_items().unwrap_or_default().into_iter();
                let next = items.next().and_then(|cursor| cursor.text());
                let keys = items.next().and_then(Reply::into_items).unwrap_or_default();
                self.remove(&keys.iter().filter_map(Reply::text).collect::<Vec<_>>(), &Sent::default()).await?;
                match next {
                    Some(next) if next != "0" => cursor = next,
                    _ => break,
                }
            }
        }
        Ok(())
    }

    /// Sends a command to any server.
    pub(crate) async fn command(&self, name: &'static str, words: &[&str]) -> Result<Reply, CallError> {
        self.any().await?.call(Command::new(name, 0).args(words), &Sent::default()).await
    }

    async fn any(&self) -> Result<Arc<Connection>, CallError> {
        self.ready().await?;
        let all = self.0.servers.connections();
        let connection = all.iter().find(|connection| connection.is_up()).or(all.first());
        connection.cloned().ok_or(CallError::NotRun("no server is known".into()))
    }

    /// Closes all connections. Calls in flight end with an error, and may have run.
    pub(crate) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.servers.supervisor().close();
        self.0.servers.connections().iter().for_each(|connection| connection.supervisor.close());
    }

    pub(crate) fn stats(&self) -> RedisStats {
        let all = self.0.servers.connections();
        let connected = all.iter().filter(|connection| connection.is_up()).count();
        RedisStats { connected, connections: all.len(), ..self.0.counts.stats() }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    fn open(&self) -> Result<&Servers, CallError> {
        if self.is_closed() { Err(CallError::Closed) } else { Ok(&self.0.servers) }
    }
}

/// The settings of the connection to the server.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) origin: Origin,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) pool_size: usize,
    pub(crate) command_timeout: Duration,
}

/// The server, in one of the forms that a user can give.
#[derive(Clone)]
pub(crate) enum Origin {
    Address(String),
    Config(Box<Config>),
    /// A client that the user keeps connected.
    Client(fred::clients::Client),
}

/// The servers that keep the limits.
enum Servers {
    /// One server.
    Single {
        /// Stands for all connections where the choice does not matter.
        first: Arc<Connection>,
        others: Vec<Arc<Connection>>,
        turn: AtomicUsize,
    },
    #[cfg(feature = "cluster")]
    Cluster(Cluster),
}

impl Servers {
    /// Creates the servers without connecting.
    pub(super) fn new(settings: &Settings, counts: &Arc<Counts>) -> Result<Self, Error> {
        let timeouts = Timeouts::new(settings.command_timeout);
        let connection = |link| Arc::new(Connection::new(Arc::new(link), timeouts, counts));
        let config = match &settings.origin {
            Origin::Address(address) => address::parse(address)?,
            Origin::Config(config) => (**config).clone(),
            Origin::Client(client) => {
                let first = connection(FredLink::of_user(client)?);
                first.supervisor.leave_to_user();
                counts.leave_connections_to_user();
                return Ok(Self::Single { first, others: Vec::new(), turn: AtomicUsize::new(0) });
            }
        };
        let (username, password) = (settings.username.clone(), settings.password.clone());
        let (username, password) = (username.or(config.username), password.or(config.password));
        let config = Config { username, password, ..config };
        if config.server.is_clustered() {
            #[cfg(feature = "cluster")]
            return Ok(Self::Cluster(Cluster::new(config, timeouts, Arc::clone(counts))));
            #[cfg(not(feature = "cluster"))]
            return Err(Error::Address(
                "it is the address of a cluster: turn on the feature `cluster` of traffik-redis".into(),
            ));
        }
        let connection = || FredLink::new(config.clone(), timeouts).map(connection);
        let others = (1..settings.pool_size).map(|_| connection()).collect::<Result<_, _>>()?;
        Ok(Self::Single { first: connection()?, others, turn: AtomicUsize::new(0) })
    }

    /// Returns the supervisor whose status is that of all servers.
    pub(super) fn supervisor(&self) -> &Supervisor {
        match self {
            Self::Single { first, .. } => &first.supervisor,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => &cluster.supervisor,
        }
    }

    /// Returns all connections. In a cluster, each is to another server.
    fn connections(&self) -> Vec<Arc<Connection>> {
        match self {
            Self::Single { first, others, .. } => std::iter::once(first).chain(others).cloned().collect(),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.connections(),
        }
    }

    /// Waits until the servers can be called, or until the first attempt has failed.
    pub(super) async fn ready(&self) -> Result<(), CallError> {
        let is_up = match self {
            Self::Single { first, others, .. } => first.is_up() || others.iter().any(|other| other.is_up()),
            // A server may be up before the slots are known.
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => false,
        };
        if is_up { Ok(()) } else { self.supervisor().ready().await }
    }

    /// Sends a command whose keys are all in one slot.
    pub(super) async fn call(&self, command: Command, sent: &Sent) -> Result<Reply, CallError> {
        match self {
            Self::Single { first, others, turn } => {
                // The next in turn that is up, or the first if none is up.
                let turn = turn.fetch_add(1, Ordering::Relaxed) % (1 + others.len());
                let mut in_turn = std::iter::once(first).chain(others).cycle().skip(turn).take(1 + others.len());
                in_turn.find(|connection| connection.is_up()).unwrap_or(first).call(command, sent).await
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.call(command, sent).await,
        }
    }
}
