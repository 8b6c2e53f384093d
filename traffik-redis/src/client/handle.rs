use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::join_all;
use tokio::{runtime::Handle, sync::watch, time::sleep};

use super::{
    CallError, Reply, Sent, Settings, backoff::Backoff, command::Command, connection::Connection,
    connection_counts::ConnectionCounts, servers::Servers, slot_of, supervisor::Phase,
};
use crate::{Error, instruments::Instruments, script::Script};

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
    counts: Arc<ConnectionCounts>,
    closed: AtomicBool,
}

/// Counts of the connections of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) connected: usize,
    /// The number of configured connections.
    pub(crate) connections: usize,
    /// The number of connections that seemed alive and were replaced.
    pub(crate) given_up: u64,
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
    pub(crate) fn new(settings: &Settings, instruments: &Arc<Instruments>) -> Result<Self, Error> {
        let counts = Arc::new(ConnectionCounts::new(instruments));
        let servers = Servers::new(settings, &counts)?;
        Handle::try_current().map_err(|_| Error::NoRuntime)?;
        Ok(Self(Arc::new(Inner { servers, counts, closed: AtomicBool::new(false) })))
    }

    pub(crate) fn instruments(&self) -> &Arc<Instruments> {
        self.0.counts.instruments()
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
        self.0.servers.connections().iter().for_each(|connection| connection.supervisor().start());
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
        self.0.servers.connections().iter().for_each(|connection| connection.supervisor().close());
    }

    pub(crate) fn health(&self) -> Health {
        let all = self.0.servers.connections();
        let connected = all.iter().filter(|connection| connection.is_up()).count();
        Health { connected, connections: all.len(), given_up: self.0.counts.given_up() }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    fn open(&self) -> Result<&Servers, CallError> {
        if self.is_closed() { Err(CallError::Closed) } else { Ok(&self.0.servers) }
    }
}
