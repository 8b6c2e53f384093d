//! Computes an answer and its changes from the stored states, with the functions of the strategies.

use traffik_core::{
    backend::{Adjusted, BackendError},
    clock::Timestamp,
    decision::{Adjustment, Charge, Decision, Hit, HitTally, Outcome},
    strategy::Strategy,
};

use super::stored::{Change, Stored};

/// An answer that holds if the changes are written. Each key has a change, or `None` if its state stays.
pub(super) struct Proposal<T> {
    pub(super) answer: T,
    pub(super) changes: Vec<Option<Change>>,
}

/// The position of the key of each hit. A hit at an unlimited rate has none.
type Places = [Option<usize>];

pub(super) fn decide(
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

pub(super) fn peek(hits: &[Hit<'_>], places: &Places, stored: &Stored<'_>) -> Result<Decision, BackendError> {
    Ok(tally(hits, places, stored)?.peek())
}

fn tally<'a>(
    hits: &'a [Hit<'a>],
    places: &Places,
    stored: &Stored<'_>,
) -> Result<HitTally<'a, Option<usize>>, BackendError> {
    let mut states = stored.states()?;
    let mut tally = HitTally::new(stored.at);
    for (hit, &place) in hits.iter().zip(places) {
        tally.add(hit, place, || states.get_mut(place?)?.take());
    }
    Ok(tally)
}

pub(super) fn adjust(
    adjustments: &[Adjustment<'_>],
    places: &Places,
    stored: &Stored<'_>,
) -> Result<Proposal<Vec<Adjusted>>, BackendError> {
    let (mut states, mut changes, at) = (stored.states()?, stored.unchanged(), stored.at);
    let mut answer = Vec::with_capacity(adjustments.len());
    for (Adjustment { charge: Charge { hit, at: charged_at, .. }, actual, .. }, place) in adjustments.iter().zip(places)
    {
        let outcome = Outcome::new(true, *actual, at);
        let Some((state, change)) = place.and_then(|place| states.get_mut(place).zip(changes.get_mut(place))) else {
            answer.push(Ok(outcome));
            continue;
        };
        let strategy = hit.limit.strategy();
        let settled = strategy.settle(state.clone(), hit.rate, hit.cost, *actual, *charged_at, at);
        answer.push(match settled {
            Ok(settled) => {
                if let Some(past) = settled.past.as_ref().filter(|_| settled.is_new) {
                    *change = Some(Change::new(strategy, past)?);
                }
                *state = settled.past;
                Ok(outcome.with_past(
                    state
                        .as_ref()
                        .filter(|past| past.is_alive(at))
                        .map(|past| strategy.summary(past, hit.rate, *actual, at)),
                ))
            }
            Err(error) => Err(error.into()),
        });
    }
    Ok(Proposal { answer, changes })
}

/// Proposes the time of the renewed charge, or `None` if it does not fit.
pub(super) fn renew(charge: &Charge<'_>, stored: &Stored<'_>) -> Result<Proposal<Option<Timestamp>>, BackendError> {
    let Charge { hit, at: charged_at, .. } = charge;
    let state = stored.states()?.pop().flatten();
    let renewed = hit.limit.strategy().renew(state, hit.rate, hit.cost, *charged_at, stored.at);
    let past = renewed.past.filter(|_| renewed.is_new);
    let change = past.map(|past| Change::new(hit.limit.strategy(), &past)).transpose()?;
    Ok(Proposal { answer: renewed.admitted.then_some(stored.at), changes: vec![change] })
}
