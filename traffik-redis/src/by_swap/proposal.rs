//! Reads the stored states under the keys of a call, and computes an answer and its changes from them, with the functions of
//! the strategies.

use thiserror::Error;
use traffik_core::{
    backend::{Adjusted, BackendError},
    clock::Timestamp,
    decision::{Adjustment, Charge, Decision, Hit, HitTally, Outcome},
    strategy::{AnyStrategy, StoredState, Strategy},
};

use crate::{
    client::{Reply, UnexpectedReply},
    packed::{self, Unpackable},
    places::Places,
};

/// An answer that holds if the changes are written. Each key has a change, or `None` if its state stays.
pub(crate) struct Proposal<T> {
    pub(super) answer: T,
    pub(super) changes: Vec<Option<Change>>,
}

pub(crate) fn decide(
    hits: &[Hit<'_>],
    places: &Places,
    stored: &Stored<'_>,
) -> Result<Proposal<Decision>, BackendError> {
    let mut tally = tally(hits, places, stored)?;
    let answer = tally.decide();
    let mut changes = stored.unchanged();
    for entry in tally.entries().iter().filter(|entry| entry.is_new()) {
        let change = entry.key().and_then(|place| changes.get_mut(place));
        if let (Some(change), Some(past)) = (change, entry.past()) {
            *change = Some(Change::new(entry.hit().limit.strategy(), past)?);
        }
    }
    Ok(Proposal { answer, changes })
}

pub(crate) fn peek(hits: &[Hit<'_>], places: &Places, stored: &Stored<'_>) -> Result<Decision, BackendError> {
    Ok(tally(hits, places, stored)?.peek())
}

fn tally<'a>(
    hits: &'a [Hit<'a>],
    places: &Places,
    stored: &Stored<'_>,
) -> Result<HitTally<'a, Option<usize>>, BackendError> {
    let mut states = stored.states()?;
    let mut tally = HitTally::new(stored.at);
    for (hit, &place) in hits.iter().zip(&places.of_hits) {
        tally.add(hit, place, || states.get_mut(place?)?.take());
    }
    Ok(tally)
}

/// Proposes the settlements of charges of one entry.
pub(crate) fn adjust(
    adjustments: &[Adjustment<'_>],
    stored: &Stored<'_>,
) -> Result<Proposal<Vec<Adjusted>>, BackendError> {
    let (mut state, mut change, at) = (stored.states()?.pop().flatten(), None, stored.at);
    let mut answer = Vec::with_capacity(adjustments.len());
    for Adjustment { charge: Charge { hit, at: charged_at, .. }, actual, .. } in adjustments {
        let strategy = hit.limit.strategy();
        answer.push(match strategy.settle(state.clone(), hit.rate, hit.cost, *actual, *charged_at, at) {
            Ok(settled) => {
                if let Some(past) = settled.past.as_ref().filter(|_| settled.is_new) {
                    change = Some(Change::new(strategy, past)?);
                }
                state = settled.past;
                let known = state.as_ref().filter(|past| past.is_alive(at));
                let past = known.map(|past| strategy.summary(past, hit.rate, *actual, at));
                Ok(Outcome::new(true, *actual, at).with_past(past))
            }
            Err(error) => Err(error.into()),
        });
    }
    Ok(Proposal { answer, changes: vec![change] })
}

/// Proposes the time of the renewed charge, or `None` if it does not fit.
pub(crate) fn renew(charge: &Charge<'_>, stored: &Stored<'_>) -> Result<Proposal<Option<Timestamp>>, BackendError> {
    let Charge { hit, at: charged_at, .. } = charge;
    let state = stored.states()?.pop().flatten();
    let renewed = hit.limit.strategy().renew(state, hit.rate, hit.cost, *charged_at, stored.at);
    let past = renewed.past.filter(|_| renewed.is_new);
    let change = past.map(|past| Change::new(hit.limit.strategy(), &past)).transpose()?;
    Ok(Proposal { answer: renewed.admitted.then_some(stored.at), changes: vec![change] })
}

pub(crate) struct Stored<'a> {
    /// When the states were read, by the clock of the server.
    at: Timestamp,
    keys: &'a [String],
    /// The state of each key. Empty where nothing is stored.
    packed: Vec<Vec<u8>>,
}

#[derive(Debug, Error)]
enum Unreadable {
    #[error("traffik: the key {0} holds an empty string, which this version cannot read: delete the key")]
    Empty(String),
    #[error("traffik: the key {0} holds {1}")]
    State(String, #[source] Unpackable),
}

/// The new state of a key.
pub(crate) struct Change {
    packed: Vec<u8>,
    expires: Timestamp,
}

impl Change {
    pub(super) fn new(strategy: &AnyStrategy, past: &StoredState) -> Result<Self, BackendError> {
        let packed = packed::pack(strategy, past).map_err(BackendError::unavailable)?;
        Ok(Self { packed, expires: past.state.expires() })
    }
}

impl<'a> Stored<'a> {
    /// Reads the time, and the state of each key.
    pub(super) fn read(reply: Reply, keys: &'a [String]) -> Result<Self, BackendError> {
        let (at, items) = reply.timed()?;
        let packed = items.zip(keys).map(|(item, key)| match item {
            Reply::Nothing => Ok(Vec::new()),
            Reply::Bytes(empty) if empty.is_empty() => Err(BackendError::unavailable(Unreadable::Empty(key.clone()))),
            Reply::Bytes(packed) => Ok(packed.into()),
            _ => Err(UnexpectedReply("no state").into()),
        });
        let packed: Vec<_> = packed.collect::<Result<_, _>>()?;
        if packed.len() < keys.len() {
            return Err(UnexpectedReply("not a state for each key").into());
        }
        Ok(Self { at, keys, packed })
    }

    /// Returns no change for each key.
    fn unchanged(&self) -> Vec<Option<Change>> {
        self.packed.iter().map(|_| None).collect()
    }

    /// Returns the state of each key.
    fn states(&self) -> Result<Vec<Option<StoredState>>, BackendError> {
        let unpack = |(packed, key): (&Vec<u8>, &String)| {
            packed::unpack(packed).map_err(|error| BackendError::unavailable(Unreadable::State(key.clone(), error)))
        };
        self.packed.iter().zip(self.keys).map(unpack).collect()
    }

    /// Returns the arguments of `swap.lua`: for each key the expected state, the new state, and its expiry. A state
    /// without a change is still compared.
    pub(super) fn swapped(&self, changes: Vec<Option<Change>>) -> Vec<Vec<u8>> {
        let words = self.packed.iter().zip(changes).flat_map(|(packed, change)| {
            let (new, expires) = change.map_or((Vec::new(), 0), |change| (change.packed, change.expires.as_micros()));
            [packed.clone(), new, expires.to_string().into_bytes()]
        });
        words.collect()
    }
}
