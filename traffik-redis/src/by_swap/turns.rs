//! Who is next in this process.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};

/// Clients that share one wait for each other without need, so that there are many.
const TURNS: usize = 256;

/// Of decisions about one client in this process, one is made at a time, in the order in which they came.
///
/// Exact it is without: a decision that others were faster than is made anew. But then all but one of them are, again and
/// again, and whoever has bad luck waits for ever. So only other processes are competitors.
pub(crate) struct Turns {
    turns: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self { turns: (0..TURNS).map(|_| Mutex::new(())).collect(), hasher: RandomState::new() }
    }

    /// Waits for the turn of a decision about these keys. As a rule they are all of one client; where they are not, those that
    /// do not come first have their turns elsewhere, and may be changed meanwhile.
    pub(super) async fn take(&self, keys: &[String]) -> Option<MutexGuard<'_, ()>> {
        let client = keys.first()?.split('}').next()?;
        let count = u64::try_from(self.turns.len()).ok()?;
        let turn = usize::try_from(self.hasher.hash_one(client).checked_rem(count)?).ok()?;
        Some(self.turns.get(turn)?.lock().await)
    }
}
