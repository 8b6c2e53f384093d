//! Orders the decisions of this process about the same client.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};

/// The number of locks. Clients that share one wait for each other needlessly, so there are many.
const TURNS: usize = 256;

/// Admits one decision at a time about a client in this process, in the order of arrival.
///
/// Decisions are exact without this, because one that loses a race is made again. But of many concurrent decisions all
/// but one would lose each race, and an unlucky one might never win. With this, only other processes compete.
pub(crate) struct Turns {
    turns: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { turns: (0..TURNS).map(|_| Mutex::new(())).collect(), hasher: RandomState::new() }
    }

    /// Waits for the turn of a decision about these keys. They usually belong to one client. If not, the first client
    /// decides the turn, and the states of the others may change meanwhile.
    pub(super) async fn take(&self, keys: &[String]) -> Option<MutexGuard<'_, ()>> {
        let client = keys.first()?.split('}').next()?;
        let count = u64::try_from(self.turns.len()).ok()?;
        let turn = usize::try_from(self.hasher.hash_one(client).checked_rem(count)?).ok()?;
        Some(self.turns.get(turn)?.lock().await)
    }
}
