//! Decisions about a strategy that has no Lua twin: what is stored is read, decided about here, and replaced if nobody
//! changed it meanwhile.
//!
//! All keys of a decision are read and replaced together, and by the server's clock: what is decided is what the same
//! strategies would decide there, at the time when they were read, and it counts only if everything still is as it was then.
//! Programs in Lua that write the same keys in between are noticed like anybody else.

mod proposal;
mod stored;
mod turns;

use thiserror::Error;
use tokio::time::timeout_at;
use traffik_core::{
    backend::BackendError,
    clock::Timestamp,
    decision::{Adjusted, Adjustment, Charge, Decision, Hit},
};

pub(crate) use self::turns::Turns;
use self::{proposal::Proposal, stored::Stored};
use crate::{calls::Exchange, client::Reply, places::Places};

/// How often a decision is tried before it is an error that somebody else always was faster.
///
/// Measured where each process did nothing but decide about one and the same client (`cargo bench --package benches --bench
/// redis -- contention`): 16 tasks of one process took 2 calls for a decision, and 8 processes 6. But a process that runs a little
/// later than the others each time may lose to them for long: with 64 attempts 1 decision in 700 of 16 processes failed. So as
/// many are made as fit into a deadline, which is what ends them as a rule.
const ATTEMPTS: usize = 1024;

#[derive(Debug, Error)]
#[error(
    "others changed what is stored of this client each of the {ATTEMPTS} times that it was decided about: nothing was \
     charged. Strategies of your own are decided in one process at a time: where one client is this busy in many of them, \
     use a strategy that runs inside of Redis"
)]
struct Contended;

pub(crate) async fn decide(
    exchange: &Exchange,
    turns: &Turns,
    hits: &[Hit<'_>],
    places: &Places,
) -> Result<Decision, BackendError> {
    let decide = |stored: &Stored| proposal::decide(hits, &places.of_hits, stored);
    swap(exchange, turns, &places.keys, decide).await
}

pub(crate) async fn peek(exchange: &Exchange, hits: &[Hit<'_>], places: &Places) -> Result<Decision, BackendError> {
    let stored = read(exchange, &places.keys).await?;
    proposal::peek(hits, &places.of_hits, &stored)
}

pub(crate) async fn adjust(
    exchange: &Exchange,
    turns: &Turns,
    adjustments: &[Adjustment<'_>],
    places: &Places,
) -> Result<Vec<Adjusted>, BackendError> {
    let adjust = |stored: &Stored| proposal::adjust(adjustments, &places.of_hits, stored);
    swap(exchange, turns, &places.keys, adjust).await
}

/// Charges one anew. Returns when, if there was room.
pub(crate) async fn renew(
    exchange: &Exchange,
    turns: &Turns,
    charge: &Charge<'_>,
    places: &Places,
) -> Result<Option<Timestamp>, BackendError> {
    swap(exchange, turns, &places.keys, |stored| proposal::renew(charge, stored)).await
}

async fn read(exchange: &Exchange, keys: &[String]) -> Result<Stored, BackendError> {
    Stored::read(exchange.run(|scripts| &scripts.states, keys, Vec::new()).await?, keys.len())
}

/// Makes proposals until one of them finds the stored states unchanged.
async fn swap<T>(
    exchange: &Exchange,
    turns: &Turns,
    keys: &[String],
    propose: impl Fn(&Stored) -> Result<Proposal<T>, BackendError>,
) -> Result<T, BackendError> {
    // What is decided out of turn is exact as well.
    let _turn = timeout_at(exchange.half_time(), turns.take(keys)).await;
    let mut stored = read(exchange, keys).await?;
    for _ in 0..ATTEMPTS {
        let Proposal { answer, changes } = propose(&stored)?;
        if changes.iter().all(Option::is_none) {
            return Ok(answer);
        }
        let reply = exchange.run(|scripts| &scripts.swap, keys, stored.swapped(changes)).await?;
        if is_written(&reply) {
            return Ok(answer);
        }
        stored = Stored::read(reply, keys.len())?;
    }
    Err(BackendError::unavailable(Contended))
}

/// It answers with what it found instead, if it was not what it had to find.
fn is_written(reply: &Reply) -> bool {
    reply.integer() == Some(1)
}
