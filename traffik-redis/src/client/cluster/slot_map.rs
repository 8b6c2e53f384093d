//! The servers of a cluster and their slots, as servers report them.

use std::{
    collections::HashMap,
    error::Error,
    hash::{BuildHasher, RandomState},
    ops::RangeInclusive,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic::Ordering},
};

use fred::types::config::Server;
use futures_util::future::BoxFuture;
use tokio::time::{sleep, timeout};

use super::node::{Node, Shared};
use crate::client::{
    Reply, SLOTS, Sent,
    command::Command,
    supervisor::{Attempt, Driver, Supervised},
    timeouts::Timeouts,
};

/// The servers of a cluster, and the slots of each.
pub(super) struct SlotMap {
    pub(super) shared: Arc<Shared>,
    map: RwLock<Map>,
}

/// The map that a server reported last.
#[derive(Default)]
struct Map {
    nodes: HashMap<Server, Arc<Node>>,
    /// The primary of each slot. Empty until a server has answered.
    owners: Vec<Option<Arc<Node>>>,
    /// All servers, including replicas.
    servers: Vec<Server>,
}

impl SlotMap {
    pub(super) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), map: RwLock::default() }
    }

    pub(super) fn owner(&self, slot: u16) -> Option<Arc<Node>> {
        self.read().owners.get(usize::from(slot)).and_then(Clone::clone)
    }

    pub(super) fn nodes(&self) -> Vec<Arc<Node>> {
        self.read().nodes.values().cloned().collect()
    }

    /// Returns the node of a server. Connects to it if it is new.
    pub(super) fn node(&self, server: &Server) -> Arc<Node> {
        let known = self.read().nodes.get(server).cloned();
        known.unwrap_or_else(|| self.add(&mut self.write(), server))
    }

    fn add(&self, map: &mut Map, server: &Server) -> Arc<Node> {
        let node = || Arc::new(Node::new(server, &self.shared));
        Arc::clone(map.nodes.entry(server.clone()).or_insert_with(node))
    }

    /// Records that a slot has moved to a server. Other slots may have moved too.
    pub(super) fn moved(&self, slot: u16, server: &Server) -> Arc<Node> {
        self.shared.stale.notify_one();
        let mut map = self.write();
        let node = self.add(&mut map, server);
        if let Some(owner) = map.owners.get_mut(usize::from(slot)) {
            *owner = Some(Arc::clone(&node));
        }
        node
    }

    /// Returns the servers that may know the slots. Connected servers come first. The order varies, because a server
    /// that is cut off from the others may have an old map.
    fn candidates(&self) -> Vec<Arc<Node>> {
        if !self.nodes().iter().any(|node| node.connection.is_up()) {
            let servers = [self.read().servers.clone(), self.shared.config.server.hosts()].concat();
            servers.iter().for_each(|server| drop(self.node(server)));
        }
        let (mut nodes, random) = (self.nodes(), RandomState::new());
        nodes.sort_by_cached_key(|node| (!node.connection.is_up(), random.hash_one(&node.server)));
        nodes
    }

    /// Returns the slots by the first server that answers.
    async fn latest(&self) -> Result<Vec<Share>, Box<dyn Error + Send + Sync>> {
        let mut why = "no server is known".to_owned();
        for Node { server, connection, .. } in self.candidates().iter().map(|node| &**node) {
            let sent = Sent::default();
            let call = connection.call(Command::new("CLUSTER", 0).arg("SLOTS"), &sent);
            why = match timeout(self.shared.timeouts.topology, call).await {
                Ok(Ok(reply)) => match Share::read_all(reply, server) {
                    Some(shares) => return Ok(shares),
                    None => format!("{server}: it has no slots: create the cluster, or check the address"),
                },
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("{server}: it did not answer in time"),
            };
        }
        Err(why.into())
    }

    /// Replaces the map. Closes the servers that are no longer on it, unless they received an `ASK` redirect since the
    /// last map.
    fn replace(&self, shares: &[Share]) {
        let mut map = self.write();
        map.owners = vec![None; SLOTS.into()];
        for share in shares {
            let Some(primary) = share.servers.first() else { continue };
            let node = self.add(&mut map, primary);
            let slots = usize::from(*share.slots.start())..=usize::from(*share.slots.end());
            if let Some(owners) = map.owners.get_mut(slots) {
                owners.fill(Some(node));
            }
        }
        let is_primary = |server: &Server| shares.iter().any(|share| share.servers.first() == Some(server));
        map.nodes.retain(|server, node| node.was_asked.swap(false, Ordering::Relaxed) || is_primary(server));
        map.servers = shares.iter().flat_map(|share| share.servers.iter().cloned()).collect();
    }

    async fn refresh(self: Arc<Self>) -> String {
        loop {
            sleep(Timeouts::SHORTEST_REFRESH).await;
            let is_missing = self.nodes().iter().any(|node| node.connection.supervisor.is_down());
            let period = if is_missing { Timeouts::REFRESH_WHILE_MISSING } else { Timeouts::REFRESH };
            let _ = timeout(period, self.shared.stale.notified()).await;
            match self.latest().await {
                Ok(shares) => self.replace(&shares),
                // Keeps the old map: servers may come back.
                Err(why) => tracing::debug!("no server reports the slots of the cluster: {why}"),
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Map> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Map> {
        self.map.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Loads the slot map, and keeps it up to date.
impl Supervised for SlotMap {
    fn connect(self: Arc<Self>) -> BoxFuture<'static, Attempt> {
        Box::pin(async move {
            self.replace(&self.latest().await?);
            Ok(Box::pin(self.refresh()) as Driver)
        })
    }

    /// Closes all connections, because their runtime has ended.
    fn lost(&self) {
        let mut map = self.write();
        map.nodes.values().for_each(|node| node.connection.supervisor.close());
        *map = Map { servers: std::mem::take(&mut map.servers), ..Map::default() };
    }
}

/// A range of slots, and the servers that have it, the primary first.
#[derive(Debug, PartialEq)]
struct Share {
    slots: RangeInclusive<u16>,
    servers: Vec<Server>,
}

/// The reaction to an answer of a server that did not run the command.
#[derive(Debug, PartialEq)]
pub(super) enum Redirect {
    /// The slot has moved to this server.
    Moved(Server),
    /// The slot is moving to this server, and this key has moved already. Applies to this command only.
    Ask(Server),
    /// Some of the keys have moved and others have not, or no server has the slot at the moment.
    Later,
}

impl Share {
    /// Reads a reply to `CLUSTER SLOTS`. Returns `None` if the reply is invalid or has no slots.
    fn read_all(reply: Reply, said_by: &Server) -> Option<Vec<Self>> {
        let shares =
            reply.into_items()?.into_iter().map(|share| Self::read(share, said_by)).collect::<Option<Vec<_>>>();
        shares.filter(|shares| !shares.is_empty())
    }

    fn read(share: Reply, said_by: &Server) -> Option<Self> {
        let mut items = share.into_items()?.into_iter();
        let mut bound = || u16::try_from(items.next()?.integer()?).ok();
        let slots = bound()?..=bound()?;
        let server = |server: Reply| {
            let mut items = server.into_items()?.into_iter();
            let host = items.next()?.text().unwrap_or_default();
            Some(place(&host, u16::try_from(items.next()?.integer()?).ok()?, said_by))
        };
        let servers = items.map(server).collect::<Option<Vec<_>>>()?;
        if servers.is_empty() { None } else { Some(Self { slots, servers }) }
    }
}

impl Redirect {
    /// Reads an error. Returns `None` for all others.
    pub(super) fn read(reason: &str, said_by: &Server) -> Option<Self> {
        let words = reason.split_ascii_whitespace();
        let server = |redirect: fn(Server) -> Self| {
            // An IPv6 address has no brackets here.
            let (host, port) = words.clone().nth(2)?.rsplit_once(':')?;
            Some(redirect(place(host, port.parse().ok()?, said_by)))
        };
        match words.clone().next()? {
            "MOVED" => server(Self::Moved),
            "ASK" => server(Self::Ask),
            "TRYAGAIN" | "CLUSTERDOWN" => Some(Self::Later),
            _ => None,
        }
    }
}

/// Returns the server at an address. Without a host, uses the host of the server that reported it.
fn place(host: &str, port: u16, said_by: &Server) -> Server {
    Server::new(if host.is_empty() || host == "?" { &*said_by.host } else { host }, port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_differ_from_other_errors() {
        let here = Server::new("10.0.0.1", 7000);
        let there = |host: &str| Server::new(host, 7001);
        let read = |reason| Redirect::read(reason, &here);
        assert_eq!(read("MOVED 3999 10.0.0.2:7001"), Some(Redirect::Moved(there("10.0.0.2"))));
        assert_eq!(read("MOVED 3999 :7001"), Some(Redirect::Moved(there("10.0.0.1"))));
        assert_eq!(read("ASK 3999 ::1:7001"), Some(Redirect::Ask(there("::1"))));
        assert_eq!(read("TRYAGAIN Multiple keys request during rehashing of slot"), Some(Redirect::Later));
        assert_eq!(read("CLUSTERDOWN The cluster is down"), Some(Redirect::Later));
        for reason in ["", "MOVED", "MOVED 3999 nowhere", "ERR MOVED 1 a:1", "READONLY", "OOM command not allowed"] {
            assert_eq!(read(reason), None, "{reason}");
        }
    }

    #[test]
    fn reported_slots_are_read() {
        let server = |host, port| {
            Reply::Items(vec![host, Reply::Integer(port), Reply::Bytes("id".into()), Reply::Items(vec![])])
        };
        let reported = Reply::Items(vec![Reply::Items(vec![
            Reply::Integer(0),
            Reply::Integer(5460),
            server(Reply::Bytes("10.0.0.1".into()), 7000),
            // One server without an address for itself, and one whose address the server does not know.
            server(Reply::Nothing, 7001),
            server(Reply::Bytes("".into()), 7002),
        ])]);
        let servers = vec![Server::new("10.0.0.1", 7000), Server::new("seed", 7001), Server::new("seed", 7002)];
        let asked = Server::new("seed", 6379);
        assert_eq!(Share::read_all(reported, &asked), Some(vec![Share { slots: 0..=5460, servers }]));
    }

    #[test]
    fn unreadable_reply_is_none() {
        for reported in [
            Reply::Nothing,
            Reply::Items(vec![]),
            Reply::Items(vec![Reply::Integer(1)]),
            Reply::Items(vec![Reply::Items(vec![Reply::Integer(0), Reply::Integer(1)])]),
            Reply::Items(vec![Reply::Items(vec![Reply::Integer(0), Reply::Integer(1 << 20)])]),
        ] {
            assert_eq!(Share::read_all(reported, &Server::new("seed", 6379)), None);
        }
    }
}
