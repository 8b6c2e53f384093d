//! Works out an answer and the changes for it from the stored states, by the strategies' own functions.

use traffik_core::{
    backend::BackendError,
    clock::Timestamp,
    decision::{Decision, Hit, HitTally, Receipt},
    strategy::{Past, Strategy},
};

use super::stored::{Change, Stored};

/// An answer that holds if the changes are written. Each key has a change, or `None` if its state stays.
pub(super) struct Proposal<T> {
    pub(super) answer: T,
    pub(super) changes: Vec<Option<Change>>,
}

/// For each hit the place of its key. A hit at an unlimited rate has none.
type Places = [Option<usize>];

pub(super) fn decide(hits: &[Hit<'_>], places: &Places, stored: &Stored) -> Result<Proposal<Decision>, BackendError> {
    let mut tally = tally(hits, places, stored)?;
    let answer = tally.decide();
    let mut changes = stored.unchanged();
    for entry in tally.entries().iter().filter(|entry| entry.is_new()) {
        let change = entry.key().and_then(|place| changes.get_mut(place));
        if let (Some(change), Some(past)) = (change, entry.past()) {
            *change = Some(Change::new(entry.hit().strategy, past)?);
        }
    }
    Ok(Proposal { answer, changes })
}

pub(super) fn peek(hits: &[Hit<'_>], places: &Places, stored: &Stored) -> Result<Decision, BackendError> {
    Ok(tally(hits, places, stored)?.peek())
}

fn tally<'a>(
    hits: &'a [Hit<'a>],
    places: &Places,
    stored: &Stored,
) -> Result<HitTally<'a, Option<usize>>, BackendError> {
    let mut states = stored.states()?;
    let mut tally = HitTally::new(stored.at);
    for (hit, &place) in hits.iter().zip(places) {
        tally.add(hit, place, || states.get_mut(place?)?.take());
    }
    Ok(tally)
}

pub(super) fn refund(receipts: &[Receipt<'_>], places: &Places, stored: &Stored) -> Result<Proposal<()>, BackendError> {
    let (mut states, mut changes) = (stored.states()?, stored.unchanged());
    for (Receipt { hit, charged_at }, place) in receipts.iter().zip(places) {
        let Some((state, change)) = place.and_then(|place| states.get_mut(place).zip(changes.get_mut(place))) else {
            continue;
        };
        if let Some(past) = hit.strategy.present(state.take(), stored.at).past {
            let rate = past.rate;
            let past = Past { state: hit.strategy.refund(past, hit.cost, *charged_at, stored.at), rate };
            *change = Some(Change::new(hit.strategy, &past)?);
            *state = Some(past);
        }
    }
    Ok(Proposal { answer: (), changes })
}

/// Answers when the receipt is charged anew, or `None` if there is no room.
pub(super) fn renew(receipt: &Receipt<'_>, stored: &Stored) -> Result<Proposal<Option<Timestamp>>, BackendError> {
    let Receipt { hit, charged_at } = receipt;
    let state = stored.states()?.pop().flatten();
    let renewed = hit.strategy.renew(state, hit.rate, hit.cost, *charged_at, stored.at);
    let past = renewed.past.filter(|_| renewed.is_new);
    let change = past.map(|past| Change::new(hit.strategy, &past)).transpose()?;
    Ok(Proposal { answer: renewed.admitted.then_some(stored.at), changes: vec![change] })
}
