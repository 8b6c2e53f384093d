//! A server of a cluster, and the one connection to it.

use std::sync::Arc;

use fred::types::config::{Config, Server, ServerConfig};

use crate::client::{
    connection::{Connection, Shared},
    fred_link::FredLink,
};

pub(super) struct Node {
    pub(super) server: Server,
    pub(super) connection: Arc<Connection>,
}

impl Node {
    /// Connects to a server in the background, with the settings of its cluster.
    pub(super) fn new(server: &Server, cluster: &Config, shared: &Arc<Shared>) -> Self {
        let alone = ServerConfig::Centralized { server: certified(server, cluster) };
        let config = Config { server: alone, database: None, ..cluster.clone() };
        let connection = Arc::new(Connection::new(FredLink::new(config, shared.timeouts), shared));
        connection.supervisor.start();
        Self { server: server.clone(), connection }
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
