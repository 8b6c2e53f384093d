//! Decides about strategies without a form in Lua: reads the stored states, decides in this process, and replaces the
//! states if they have not changed.
//!
//! All keys of a decision are read together and replaced together, with the time of the server's clock. The result is
//! what the same strategies would decide on the server when the states were read. It counts only if all states are
//! still the same. A change by a Lua script in between is noticed like any other.

mod proposal;

use std::hash::{BuildHasher, RandomState};

use thiserror::Error;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::timeout_at,
};
use traffik_core::backend::BackendError;

use self::proposal::Proposal;
pub(crate) use self::proposal::{Stored, adjust, decide, peek, renew};
use crate::calls::Exchange;

/// The maximum number of attempts of a decision, after which it is an error.
///
/// Measured with processes that only decide about one and the same client (`cargo bench --package benches --bench redis
/// -- contention`): 16 tasks of one process took 2 calls per decision, and 8 processes 6. But a process that runs a
/// little later than the others each time may lose to them for long: with 64 attempts, 1 decision in 700 of 16
/// processes failed. The number is high enough that the deadline usually ends the attempts.
const ATTEMPTS: usize = 1024;

#[derive(Debug, Error)]
#[error(
    "other processes changed the state of this client during each of {ATTEMPTS} attempts: nothing was charged. Custom \
     strategies are decided in one process at a time: for a client that is this busy in many processes, use a built-in \
     strategy, which runs inside Redis"
)]
struct Contended;

/// Reads the states of keys.
pub(crate) async fn read<'a>(exchange: &Exchange, keys: &'a [String]) -> Result<Stored<'a>, BackendError> {
    Stored::read(exchange.run(|scripts| &scripts.states, keys, Vec::new()).await?, keys)
}

/// Makes proposals until one of them finds the stored states unchanged.
pub(crate) async fn swap<T>(
    exchange: &Exchange,
    turns: &Turns,
    keys: &[String],
    propose: impl Fn(&Stored<'_>) -> Result<Proposal<T>, BackendError>,
) -> Result<T, BackendError> {
    // A decision without its turn is exact too.
    let _turn = timeout_at(exchange.half_time(), turns.take(keys)).await;
    let mut stored = read(exchange, keys).await?;
    for _ in 0..ATTEMPTS {
        let Proposal { answer, changes } = propose(&stored)?;
        if changes.iter().all(Option::is_none) {
            return Ok(answer);
        }
        let reply = exchange.run(|scripts| &scripts.swap, keys, stored.swapped(changes)).await?;
        // If a state has changed, the reply has the current states.
        if reply.integer() == Some(1) {
            return Ok(answer);
        }
        stored = Stored::read(reply, keys)?;
    }
    Err(BackendError::unavailable(Contended))
}

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
    async fn take(&self, keys: &[String]) -> Option<MutexGuard<'_, ()>> {
        let client = keys.first()?.split('}').next()?;
        let count = u64::try_from(self.turns.len()).ok()?;
        let turn = usize::try_from(self.hasher.hash_one(client).checked_rem(count)?).ok()?;
        Some(self.turns.get(turn)?.lock().await)
    }
}
