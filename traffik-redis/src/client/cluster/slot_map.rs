use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use fred::types::config::Server;

use super::{connector::Connector, node::Node, slots::Share};

const SLOTS: usize = 1 << 14;

/// The servers of a cluster, and the slots of each.
pub(super) struct SlotMap {
    pub(super) connector: Arc<Connector>,
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
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector: Arc::new(connector), map: RwLock::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.read().owners.is_empty()
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
        let node = || Arc::new(Node::new(server, &self.connector));
        Arc::clone(map.nodes.entry(server.clone()).or_insert_with(node))
    }

    /// Records that a slot has moved to a server. Other slots may have moved too.
    pub(super) fn moved(&self, slot: u16, server: &Server) -> Arc<Node> {
        self.is_stale();
        let mut map = self.write();
        let node = self.add(&mut map, server);
        if let Some(owner) = map.owners.get_mut(usize::from(slot)) {
            *owner = Some(Arc::clone(&node));
        }
        node
    }

    pub(super) fn is_stale(&self) {
        self.connector.stale.notify_one();
    }

    /// Returns the servers that may know the slots. Connected servers come first. The order varies, because a server
    /// that is cut off from the others may have an old map.
    pub(super) fn candidates(&self) -> Vec<Arc<Node>> {
        if !self.nodes().iter().any(|node| node.is_up()) {
            let servers = [self.read().servers.clone(), self.connector.config.server.hosts()].concat();
            servers.iter().for_each(|server| drop(self.node(server)));
        }
        let (mut nodes, random) = (self.nodes(), RandomState::new());
        nodes.sort_by_cached_key(|node| (!node.is_up(), random.hash_one(node.server())));
        nodes
    }

    /// Replaces the map. Closes the servers that are no longer on it, unless they received an `ASK` redirect since the
    /// last map.
    pub(super) fn replace(&self, shares: &[Share]) {
        let mut map = self.write();
        map.owners = vec![None; SLOTS];
        for share in shares {
            let Some(primary) = share.servers.first() else { continue };
            let node = self.add(&mut map, primary);
            let slots = usize::from(*share.slots.start())..=usize::from(*share.slots.end());
            if let Some(owners) = map.owners.get_mut(slots) {
                owners.fill(Some(node));
            }
        }
        let is_primary = |server: &Server| shares.iter().any(|share| share.servers.first() == Some(server));
        map.nodes.retain(|server, node| node.was_asked() || is_primary(server));
        map.servers = shares.iter().flat_map(|share| share.servers.iter().cloned()).collect();
    }

    /// Closes all connections.
    pub(super) fn clear(&self) {
        let mut map = self.write();
        map.nodes.values().for_each(|node| node.connection.supervisor().close());
        (map.nodes, map.owners) = Default::default();
    }

    fn read(&self) -> RwLockReadGuard<'_, Map> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Map> {
        self.map.write().unwrap_or_else(PoisonError::into_inner)
    }
}
