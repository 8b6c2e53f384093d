use std::sync::{Arc, atomic::AtomicU64};

use fred::types::config::Config;

#[cfg(feature = "cluster")]
use super::cluster::Cluster;
use super::{
    CallError, Origin, Reply, Sent, Settings, address, command::Command, connection::Connection, fred_link::FredLink,
    pool::Pool, supervisor::Supervisor, timeouts::Timeouts,
};
use crate::Error;

/// The servers that keep the limits: one server, or a cluster.
pub(super) enum Servers {
    Single(Pool),
    #[cfg(feature = "cluster")]
    Cluster(Cluster),
}

impl Servers {
    /// Creates the servers without connecting.
    pub(super) fn new(settings: &Settings, given_up: &Arc<AtomicU64>) -> Result<Self, Error> {
        let timeouts = Timeouts::new(settings.command_timeout);
        let connection = |link| Connection::new(Arc::new(link), timeouts, given_up);
        let config = match &settings.origin {
            Origin::Address(address) => address::parse(address)?,
            #[cfg(feature = "fred-10")]
            Origin::Config(config) => (**config).clone(),
            #[cfg(feature = "fred-10")]
            Origin::Client(client) => {
                let connection = connection(FredLink::of_user(client)?);
                connection.supervisor().leave_to_user();
                return Ok(Self::Single(Pool::new(connection, None)));
            }
        };
        let (username, password) = (settings.username.clone(), settings.password.clone());
        let (username, password) = (username.or(config.username), password.or(config.password));
        let config = Config { username, password, ..config };
        if config.server.is_clustered() {
            return Self::cluster(config, timeouts, given_up);
        }
        let connection = || FredLink::new(config.clone(), timeouts).map(connection);
        let others = (1..settings.pool_size).map(|_| connection()).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::Single(Pool::new(connection()?, others)))
    }

    #[cfg(feature = "cluster")]
    fn cluster(config: Config, timeouts: Timeouts, given_up: &Arc<AtomicU64>) -> Result<Self, Error> {
        Ok(Self::Cluster(Cluster::new(config, timeouts, given_up)))
    }

    #[cfg(not(feature = "cluster"))]
    fn cluster(_: Config, _: Timeouts, _: &Arc<AtomicU64>) -> Result<Self, Error> {
        let reason = "it is the address of a cluster: turn on the feature `cluster` of traffik-redis";
        Err(Error::Address(reason.into()))
    }

    /// Returns the supervisor whose status is that of all servers.
    pub(super) fn supervisor(&self) -> &Supervisor {
        match self {
            Self::Single(pool) => pool.first.supervisor(),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.supervisor(),
        }
    }

    /// Waits until the servers can be called, or until the first attempt has failed.
    pub(super) async fn ready(&self) -> Result<(), CallError> {
        match self {
            Self::Single(pool) => pool.ready().await,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.supervisor().ready().await,
        }
    }

    /// Sends a command whose keys are all in one slot.
    pub(super) async fn call(&self, command: Command, sent: &Sent) -> Result<Reply, CallError> {
        match self {
            Self::Single(pool) => pool.next().call(command, sent).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.call(command, sent).await,
        }
    }

    /// Returns all connections. In a cluster, each is to another server.
    pub(super) fn connections(&self) -> Vec<Arc<Connection>> {
        match self {
            Self::Single(pool) => pool.connections(),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.connections(),
        }
    }
}
