//! A server of a cluster, and the one connection to it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use fred::types::config::{Config, Server, ServerConfig};

use crate::client::{
    CallError, Reply, Sent,
    command::Command,
    connection::{Connection, Shared},
    fred_link::FredLink,
};

pub(super) struct Node {
    pub(super) server: Server,
    pub(super) connection: Arc<Connection>,
    /// Set by an `ASK` redirect to this server.
    pub(super) was_asked: AtomicBool,
}

impl Node {
    /// Connects to a server in the background, with the settings of its cluster.
    pub(super) fn new(server: &Server, cluster: &Config, shared: &Arc<Shared>) -> Self {
        let alone = ServerConfig::Centralized { server: certified(server, cluster) };
        let config = Config { server: alone, database: None, ..cluster.clone() };
        let connection = Arc::new(Connection::new(FredLink::new(config, shared.timeouts), shared));
        connection.supervisor().start();
        Self { server: server.clone(), connection, was_asked: AtomicBool::new(false) }
    }

    /// Sends a command. With `is_asking` the server accepts a slot that it does not own yet.
    pub(super) async fn call(&self, command: Command, sent: &Sent) -> Result<Reply, CallError> {
        self.was_asked.fetch_or(command.is_asking, Ordering::Relaxed);
        self.connection.call(command, sent).await
    }
}

#[cfg(not(feature = "rustls"))]
fn certified(server: &Server, _: &Config) -> Server {
    server.clone()
}

/// Adds the name that the certificate of a server is for. Nodes report addresses of one another rather than names.
#[cfg(feature = "rustls")]
fn certified(server: &Server, cluster: &Config) -> Server {
    use fred::types::config::TlsHostMapping;

    let names = cluster.tls.as_ref().map_or(&TlsHostMapping::None, |tls| &tls.hostnames);
    let seed = cluster.server.hosts().first().map(|seed| seed.host.to_string()).unwrap_or_default();
    let name = match (server.host.parse(), names) {
        (Ok(_), TlsHostMapping::DefaultHost) => Some(seed),
        (Ok(address), TlsHostMapping::Custom(names)) => names.map(&address, &seed),
        _ => None,
    };
    Server::new_with_tls(&*server.host, server.port, name)
}
