use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use super::{CallError, connection::Connection};

/// Connections to the same server, which take turns.
pub(super) struct Pool {
    /// Stands for all of them where it does not matter.
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

    /// Returns the next connection in turn that is up; if none is, the first.
    pub(super) fn next(&self) -> &Connection {
        let count = self.connections.len();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % count.max(1);
        let in_turn = self.connections.iter().cycle().skip(turn).take(count);
        in_turn.into_iter().find(|connection| connection.is_up()).unwrap_or(&self.first)
    }

    /// Waits until one is connected, or it is known that none is.
    pub(super) async fn ready(&self) -> Result<(), CallError> {
        if self.connections.iter().any(|connection| connection.is_up()) {
            return Ok(());
        }
        self.first.supervisor().ready().await
    }
}
