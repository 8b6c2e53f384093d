use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::instruments::{Count, Instruments, Up};

/// Counts of the connections of a client, which they share.
#[derive(Debug)]
pub(super) struct ConnectionCounts {
    given_up: AtomicU64,
    instruments: Arc<Instruments>,
}

impl ConnectionCounts {
    pub(super) fn new(instruments: &Arc<Instruments>) -> Self {
        Self { given_up: AtomicU64::new(0), instruments: Arc::clone(instruments) }
    }

    pub(super) fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    /// Counts a connection that seemed alive and is replaced.
    pub(super) fn give_up(&self) {
        self.given_up.fetch_add(1, Ordering::Relaxed);
        self.instruments.add(Count::GivenUp, 1);
    }

    pub(super) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Counts a connection that is up until the returned value is dropped.
    pub(super) fn connected(&self) -> Up {
        self.instruments.connected()
    }
}
