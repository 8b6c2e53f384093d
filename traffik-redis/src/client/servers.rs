use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fred::types::config::Config;

#[cfg(feature = "cluster")]
use super::cluster::Cluster;
use super::{
    CallError, Reply, Sent, address, command::Command, connection::Connection, connection_counts::ConnectionCounts,
    fred_link::FredLink, supervisor::Supervisor, timeouts::Timeouts,
};
use crate::Error;

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
    #[cfg(feature = "fred-10")]
    Config(Box<Config>),
    /// A client that the user keeps connected.
    #[cfg(feature = "fred-10")]
    Client(fred::clients::Client),
}

/// The servers that keep the limits.
pub(super) enum Servers {
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
    pub(super) fn new(settings: &Settings, counts: &Arc<ConnectionCounts>) -> Result<Self, Error> {
        let timeouts = Timeouts::new(settings.command_timeout);
        let connection = |link| Arc::new(Connection::new(Arc::new(link), timeouts, counts));
        let config = match &settings.origin {
            Origin::Address(address) => address::parse(address)?,
            #[cfg(feature = "fred-10")]
            Origin::Config(config) => (**config).clone(),
            #[cfg(feature = "fred-10")]
            Origin::Client(client) => {
                let first = connection(FredLink::of_user(client)?);
                first.supervisor().leave_to_user();
                counts.instruments().leave_connections_to_user();
                return Ok(Self::Single { first, others: Vec::new(), turn: AtomicUsize::new(0) });
            }
        };
        let (username, password) = (settings.username.clone(), settings.password.clone());
        let (username, password) = (username.or(config.username), password.or(config.password));
        let config = Config { username, password, ..config };
        if config.server.is_clustered() {
            #[cfg(feature = "cluster")]
            return Ok(Self::Cluster(Cluster::new(config, timeouts, counts)));
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
            Self::Single { first, .. } => first.supervisor(),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.supervisor(),
        }
    }

    /// Returns all connections. In a cluster, each is to another server.
    pub(super) fn connections(&self) -> Vec<Arc<Connection>> {
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
