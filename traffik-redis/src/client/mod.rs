//! The one place that knows the client library: what reaches the server, and what comes back of it.
//!
//! Nothing here knows what a limit is. Nothing outside knows how the server is reached.

mod error;
mod reply;
mod server;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use fred::types::config::Config;
use fred::util::redis_keyslot;
pub(crate) use fred::util::sha1_hash as digest;

use self::server::Server;
pub(crate) use self::{error::CallError, reply::Reply};
use crate::{Error, scripts::Script};

/// A way to the store. Clones are the same one, and none borrows anything, so that a call can outlive whoever waits for it.
///
/// Each call ends by itself, in an answer or an error, after the client's patience at the latest. It is sent once, unless it
/// surely did not run.
#[derive(Clone)]
pub(crate) struct Client(Arc<Inner>);

struct Inner {
    server: Server,
    closed: AtomicBool,
}

impl Client {
    /// How much longer than whoever asks the client waits for an answer: as long, it can tell what came of a call that
    /// nobody waits for any more.
    const PATIENCE: Duration = Duration::from_secs(1);

    pub(crate) async fn connect(config: Config, command_timeout: Duration) -> Result<Self, Error> {
        let server = Server::connect(config, command_timeout.saturating_add(Self::PATIENCE)).await?;
        Ok(Self(Arc::new(Inner { server, closed: AtomicBool::new(false) })))
    }

    /// Runs a program. One that the server does not know, as after a restart, is sent whole.
    pub(crate) async fn run(&self, script: &Script, keys: &[String], args: Vec<Vec<u8>>) -> Result<Reply, CallError> {
        self.open()?.run(script, keys, args).await
    }

    /// Removes keys.
    pub(crate) async fn remove(&self, keys: &[String]) -> Result<(), CallError> {
        self.open()?.remove(keys).await
    }

    /// Removes the keys that match a pattern, some at a time; what is written meanwhile may stay. Each page is a call.
    pub(crate) async fn clear(&self, pattern: &str) -> Result<(), CallError> {
        self.open()?.clear(pattern).await
    }

    /// Whether each call goes to one slot only.
    pub(crate) fn is_cluster(&self) -> bool {
        self.0.server.is_cluster()
    }

    /// How many connections calls are spread over.
    pub(crate) fn connections(&self) -> usize {
        self.0.server.connections()
    }

    /// Lets go of all connections.
    pub(crate) async fn close(&self) -> Result<(), CallError> {
        if self.0.closed.swap(true, Ordering::AcqRel) { Ok(()) } else { self.0.server.close().await }
    }

    fn open(&self) -> Result<&Server, CallError> {
        if self.0.closed.load(Ordering::Acquire) { Err(CallError::Closed) } else { Ok(&self.0.server) }
    }
}

/// Where a cluster keeps a key.
pub(crate) fn slot_of(key: &str) -> u16 {
    redis_keyslot(key.as_bytes())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
