use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{CallError, connection::Connection};

/// Connections to the same server, used in turn.
pub(super) struct Pool {
    /// Represents all connections where the choice does not matter.
    pub(super) first: Arc<Connection>,
    connections: Vec<Arc<Connection>>,
    turn: AtomicUsize,
}

impl Pool {
    pub(super) fn new(first: Connection, others: impl IntoIterator<Item = Connection>) -> Self {
        let first = Arc::new(first);
        let connections = std::iter::once(Arc::clone(&first)).chain(others.into_iter().map(Arc::new)).collect();
        Self { first, connections, turn: AtomicUsize::new(0) }
    }

    pub(super) fn connections(&self) -> Vec<Arc<Connection>> {
        self.connections.clone()
    }

    /// Returns the next connection in turn that is up. Returns the first if none is up.
    pub(super) fn next(&self) -> &Connection {
        let count = self.connections.len();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % count.max(1);
        let in_turn = self.connections.iter().cycle().skip(turn).take(count);
        in_turn.into_iter().find(|connection| connection.is_up()).unwrap_or(&self.first)
    }

    /// Waits until one connection is up, or until all first attempts have failed.
    pub(super) async fn ready(&self) -> Result<(), CallError> {
        if self.connections.iter().any(|connection| connection.is_up()) {
            return Ok(());
        }
        self.first.supervisor().ready().await
    }
}
