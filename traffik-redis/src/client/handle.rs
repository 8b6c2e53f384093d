use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use futures_util::future::join_all;
use tokio::runtime::Handle;

use super::{
    CallError, Reply, Sent, Settings, command::Command, connection::Connection, scan::Scan, servers::Servers, slot_of,
    supervisor::Supervisor,
};
use crate::{Error, script::Script};

/// Calls the server. Clones share the same connections. The methods borrow nothing from a caller, so a call can outlive
/// its caller.
///
/// Each call ends by itself, with an answer or an error. It is sent once, unless it certainly did not run.
#[derive(Clone)]
pub(crate) struct Client(pub(super) Arc<Inner>);

pub(super) struct Inner {
    servers: Servers,
    given_up: Arc<AtomicU64>,
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

impl Client {
    /// Creates a client without connecting.
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let given_up = Arc::default();
        let servers = Servers::new(settings, &given_up)?;
        Handle::try_current().map_err(|_| Error::NoRuntime)?;
        Ok(Self(Arc::new(Inner { servers, given_up, closed: AtomicBool::new(false) })))
    }

    /// Returns the supervisor whose status is that of the client.
    pub(super) fn supervisor(&self) -> &Supervisor {
        self.0.servers.supervisor()
    }

    pub(super) fn start(&self) {
        self.supervisor().start();
        self.0.servers.connections().iter().for_each(|connection| connection.supervisor().start());
    }

    /// Returns whether the keys of one call have to be in one slot.
    pub(crate) fn is_cluster(&self) -> bool {
        !matches!(self.0.servers, Servers::Single(_))
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
            let mut scan = Scan::new(&connection, pattern);
            while let Some(keys) = scan.next_page().await? {
                self.remove(&keys, &Sent::default()).await?;
            }
        }
        Ok(())
    }

    /// Sends a command to any server.
    pub(super) async fn command(&self, name: &'static str, words: &[&str]) -> Result<Reply, CallError> {
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
        self.supervisor().close();
        self.0.servers.connections().iter().for_each(|connection| connection.supervisor().close());
    }

    pub(crate) fn health(&self) -> Health {
        let all = self.0.servers.connections();
        let connected = all.iter().filter(|connection| connection.is_up()).count();
        Health { connected, connections: all.len(), given_up: self.0.given_up.load(Ordering::Relaxed) }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    fn open(&self) -> Result<&Servers, CallError> {
        if self.is_closed() { Err(CallError::Closed) } else { Ok(&self.0.servers) }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("health", &self.health()).finish_non_exhaustive()
    }
}
