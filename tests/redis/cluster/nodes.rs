//! A cluster for one test: three primaries, each with a replica.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use traffik_redis::{RedisBackend, RedisBackendBuilder};

use crate::{
    PLENTY, Result,
    permissions::known_user,
    raw::{Raw, Reply},
    server::{Server, free_port},
};

const SLOTS: [(&str, &str); 3] = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];

/// The time in ms after which a silent server is replaced. A shorter time would take a busy machine for a dead server.
const NODE_TIMEOUT: &str = "1000";

pub(crate) struct Cluster {
    /// The three initial primaries, then their replicas in the same order.
    nodes: Vec<Server>,
}

impl Cluster {
    pub(crate) fn start() -> Result<Self> {
        let mut bus_ports = Vec::new();
        let mut nodes = Vec::new();
        for _ in 0..6 {
            let bus = free_port()?.to_string();
            let settings = [
                "--cluster-enabled",
                "yes",
                "--cluster-port",
                &bus,
                "--cluster-node-timeout",
                NODE_TIMEOUT,
                // The remaining nodes serve their own slots.
                "--cluster-require-full-coverage",
                "no",
                "--cluster-replica-validity-factor",
                "0",
                "--repl-diskless-sync-delay",
                "0",
            ];
            let user = known_user()?;
            let arguments: Vec<_> = settings.into_iter().chain(user.iter().map(String::as_str)).collect();
            nodes.push(Server::start_with(&arguments)?);
            bus_ports.push(bus);
        }
        let cluster = Self { nodes };
        cluster.introduce(&bus_ports)?;
        cluster.hand_out_replicas()?;
        Ok(cluster)
    }

    fn introduce(&self, bus_ports: &[String]) -> Result {
        for (epoch, (node, (first, last))) in (1..).zip(self.nodes.iter().zip(SLOTS)) {
            let mut raw = node.raw()?;
            raw.call(&["CLUSTER", "SET-CONFIG-EPOCH", &format!("{epoch}")])?;
            raw.call(&["CLUSTER", "ADDSLOTSRANGE", first, last])?;
        }
        for (number, node) in self.nodes.iter().enumerate() {
            let mut raw = node.raw()?;
            for (other, bus) in self.nodes.iter().zip(bus_ports).skip(number + 1) {
                raw.call(&["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string(), bus])?;
            }
        }
        self.until("all have met", |node| Ok(node.info("CLUSTER", "cluster_known_nodes")? == "6"))
    }

    fn hand_out_replicas(&self) -> Result {
        for (primary, replica) in self.nodes.iter().zip(self.nodes.iter().skip(3)) {
            let id = primary.raw()?.id()?;
            // The node may not know yet that this one is a primary with slots.
            let asked = Instant::now();
            while let Err(error) = replica.raw()?.call(&["CLUSTER", "REPLICATE", &id]) {
                if asked.elapsed() > PLENTY {
                    return Err(error);
                }
                sleep(Duration::from_millis(10));
            }
        }
        self.until("all agree", |node| {
            let is_linked = node.info("INFO", "master_link_status").map_or(true, |status| status == "up");
            let primaries = node.call(&["CLUSTER", "NODES"])?.text().matches("master").count();
            Ok(node.info("CLUSTER", "cluster_state")? == "ok" && is_linked && primaries == 3)
        })
    }

    fn until(&self, what: &str, mut is_so: impl FnMut(&mut Raw) -> Result<bool>) -> Result {
        let began = Instant::now();
        for node in &self.nodes {
            let mut raw = node.raw()?;
            while !is_so(&mut raw)? {
                if began.elapsed() > Duration::from_secs(30) {
                    return Err(format!("not so after 30 s: {what}").into());
                }
                sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// The address names two of the servers.
    pub(crate) fn url(&self) -> String {
        let [one, other] = [2, 3].map(|number| self.nodes.get(number).map_or(0, Server::port));
        format!("redis-cluster://127.0.0.1:{one}?node=127.0.0.1:{other}")
    }

    /// Returns a user with exactly the permissions that limits need.
    pub(crate) fn builder(&self) -> RedisBackendBuilder {
        RedisBackend::builder(self.url())
            .username("limits")
            .password("secret")
            .namespace("test:redis")
            .command_timeout(PLENTY)
    }

    pub(crate) fn primaries(&self) -> impl Iterator<Item = &Server> {
        self.nodes.iter().take(3)
    }

    pub(crate) fn node(&self, number: usize) -> Result<&Server> {
        Ok(self.nodes.get(number).ok_or("no such server")?)
    }

    pub(crate) fn kill(&mut self, number: usize) -> Result {
        self.nodes.get_mut(number).ok_or("no such server")?.kill()
    }

    /// Takes a slot from all servers, which then serve no slot at all.
    pub(crate) fn go_down(&self, slot: u16) -> Result {
        let (owner, slot) = (self.node(Self::home(slot))?, slot.to_string());
        for node in &self.nodes {
            node.raw()?.call(&["CONFIG", "SET", "cluster-require-full-coverage", "yes"])?;
        }
        owner.raw()?.call(&["CLUSTER", "DELSLOTS", &slot])?;
        self.until("all are down", |node| {
            // The owner may have told another server just before. It is an error where the slot is free already.
            let _ = node.call(&["CLUSTER", "DELSLOTS", &slot]);
            Ok(node.info("CLUSTER", "cluster_state")? == "fail")
        })
    }

    /// Gives the slot back.
    pub(crate) fn come_back(&self, slot: u16) -> Result {
        self.node(Self::home(slot))?.raw()?.call(&["CLUSTER", "ADDSLOTS", &slot.to_string()])?;
        self.until("all are up", |node| Ok(node.info("CLUSTER", "cluster_state")? == "ok"))
    }

    /// Returns the slot of a key.
    pub(crate) fn slot(&self, key: &str) -> Result<u16> {
        let slot = self.node(0)?.raw()?.call(&["CLUSTER", "KEYSLOT", key])?.integer();
        Ok(u16::try_from(slot.ok_or("no slot")?)?)
    }

    /// Returns which of the three primaries a slot starts on.
    pub(crate) fn home(slot: u16) -> usize {
        usize::from(slot > 5460) + usize::from(slot > 10922)
    }

    /// Moves a slot from one primary to another, key by key, like `redis-cli --cluster reshard`.
    pub(crate) fn move_slot(&self, slot: u16, from: usize, to: usize) -> Result {
        let (mut source, mut target) = (self.node(from)?.raw()?, self.node(to)?.raw()?);
        let (source_id, target_id, slot) = (source.id()?, target.id()?, slot.to_string());
        target.call(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source_id])?;
        source.call(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target_id])?;
        let port = self.node(to)?.port().to_string();
        loop {
            let keys = source.call(&["CLUSTER", "GETKEYSINSLOT", &slot, "1"])?;
            let Reply::List(keys) = keys else { return Err("no keys".into()) };
            let Some(key) = keys.first() else { break };
            // During the move, some keys are on either server.
            sleep(Duration::from_millis(20));
            source.call(&["MIGRATE", "127.0.0.1", &port, &key.text(), "0", "5000"])?;
        }
        sleep(Duration::from_millis(20));
        for node in [&mut target, &mut source] {
            node.call(&["CLUSTER", "SETSLOT", &slot, "NODE", &target_id])?;
        }
        Ok(())
    }
}

impl Raw {
    fn id(&mut self) -> Result<String> {
        Ok(self.call(&["CLUSTER", "MYID"])?.text())
    }

    /// Returns a field of `INFO` or of `CLUSTER INFO`.
    fn info(&mut self, kind: &str, field: &str) -> Result<String> {
        let info = if kind == "CLUSTER" { self.call(&["CLUSTER", "INFO"]) } else { self.call(&["INFO"]) }?.text();
        let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        Ok(line.ok_or("no such field")?.trim_end().to_owned())
    }
}
