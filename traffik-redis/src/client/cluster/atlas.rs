//! The servers of a cluster, and which of them has which slot.

use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use super::{
    dial::Dial,
    node::Node,
    slots::{Place, Share},
};
use crate::client::standing::Standing;

const SLOTS: usize = 1 << 14;

pub(super) struct Atlas {
    dial: Arc<Dial>,
    /// The servers that the user named, to begin with.
    seeds: Vec<Place>,
    map: RwLock<Map>,
    standing: Standing,
    /// Somebody found that the map is out of date.
    wrong: Arc<Notify>,
    /// Who is asked for a map first.
    turn: AtomicUsize,
    /// Of servers that are none of the cluster's any more.
    given_up_before: AtomicU64,
}

/// As a server drew it.
struct Map {
    nodes: HashMap<Place, Arc<Node>>,
    /// For each slot, who has it.
    owners: Vec<Option<Arc<Node>>>,
    primaries: Vec<Arc<Node>>,
    /// All servers, the replicas too.
    places: Vec<Place>,
}

impl Atlas {
    pub(super) fn new(dial: Dial, seeds: Vec<Place>) -> Self {
        let map = Map { nodes: HashMap::new(), owners: Vec::new(), primaries: Vec::new(), places: seeds.clone() };
        Self {
            dial: Arc::new(dial),
            seeds,
            map: RwLock::new(map),
            standing: Standing::new(),
            wrong: Arc::new(Notify::new()),
            turn: AtomicUsize::new(0),
            given_up_before: AtomicU64::new(0),
        }
    }

    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    pub(super) fn owner(&self, slot: u16) -> Option<Arc<Node>> {
        self.read().owners.get(usize::from(slot)).and_then(Clone::clone)
    }

    pub(super) fn primaries(&self) -> Vec<Arc<Node>> {
        self.read().primaries.clone()
    }

    /// The server at a place, which is connected to if it was not.
    pub(super) fn node(&self, place: &Place) -> Arc<Node> {
        if let Some(node) = self.read().nodes.get(place) {
            return Arc::clone(node);
        }
        self.write().node(place, &self.dial, &self.wrong)
    }

    /// A slot has moved to a server, and perhaps others did.
    pub(super) fn moved(&self, slot: u16, place: &Place) -> Arc<Node> {
        self.is_wrong();
        let mut map = self.write();
        let node = map.node(place, &self.dial, &self.wrong);
        if let Some(owner) = map.owners.get_mut(usize::from(slot)) {
            *owner = Some(Arc::clone(&node));
        }
        node
    }

    pub(super) fn is_wrong(&self) {
        self.wrong.notify_one();
    }

    pub(super) async fn was_found_wrong(&self) {
        self.wrong.notified().await;
    }

    /// Those that may know the shape of the cluster, those that are connected first. Each time another one comes first: one
    /// that is cut off from the others may have an old map.
    pub(super) fn guides(&self) -> Vec<Arc<Node>> {
        let mut guides: Vec<_> = self.read().nodes.values().cloned().collect();
        guides.sort_by_key(|node| !node.is_up());
        let up = guides.iter().take_while(|node| node.is_up()).count();
        if up > 0 {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            if let Some(up) = guides.get_mut(..up) {
                up.rotate_left(turn % up.len());
            }
            return guides;
        }
        let places = [&*self.read().places, &self.seeds].concat();
        guides.extend(places.iter().map(|place| self.node(place)));
        guides
    }

    /// Goes by a new map. Servers that are not on it are let go, unless they were asked since the last.
    pub(super) fn replace(&self, shares: &[Share]) {
        let mut map = self.write();
        let mut owners = vec![None; SLOTS];
        let mut primaries: Vec<Arc<Node>> = Vec::new();
        for share in shares {
            let Some(primary) = share.places.first() else { continue };
            let node = map.node(primary, &self.dial, &self.wrong);
            let slots = usize::from(*share.slots.start())..=usize::from(*share.slots.end());
            if let Some(owners) = owners.get_mut(slots) {
                owners.fill(Some(Arc::clone(&node)));
            }
            if !primaries.iter().any(|known| Arc::ptr_eq(known, &node)) {
                primaries.push(node);
            }
        }
        map.nodes.retain(|_, node| {
            let stays = node.was_asked() || primaries.iter().any(|primary| Arc::ptr_eq(primary, node));
            if !stays {
                self.given_up_before.fetch_add(node.given_up(), Ordering::Relaxed);
            }
            stays
        });
        map.places = shares.iter().flat_map(|share| share.places.iter().cloned()).collect();
        (map.owners, map.primaries) = (owners, primaries);
    }

    pub(super) fn given_up(&self) -> u64 {
        let present: u64 = self.read().nodes.values().map(|node| node.given_up()).sum();
        present + self.given_up_before.load(Ordering::Relaxed)
    }

    /// Lets go of all servers.
    pub(super) fn forget(&self) {
        let mut map = self.write();
        map.nodes.values().for_each(|node| node.close());
        map.nodes.clear();
        map.owners.clear();
        map.primaries.clear();
    }

    fn read(&self) -> RwLockReadGuard<'_, Map> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Map> {
        self.map.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Map {
    fn node(&mut self, place: &Place, dial: &Arc<Dial>, wrong: &Arc<Notify>) -> Arc<Node> {
        let connect = || Arc::new(Node::connect(place.clone(), Arc::clone(dial), Arc::clone(wrong)));
        Arc::clone(self.nodes.entry(place.clone()).or_insert_with(connect))
    }
}
