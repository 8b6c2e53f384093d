//! What a program answers, and the outcomes that come of it: all numbers are worked out in Rust, from what is stored.

use std::time::Duration;

use thiserror::Error;
use traffik::{
    Rate,
    backend::BackendError,
    clock::{AnyClock, Timestamp},
    decision::{Decision, Hit, Outcome},
    strategy::{Past, State},
};

use crate::{calls::Told, question::Question};

/// What a program must not answer.
#[derive(Debug, Error)]
#[error("Redis gave an answer that makes no sense: {0}")]
struct Nonsense(&'static str);

/// Why a question has no answer though its call has.
#[derive(Debug, Error)]
enum NoAnswer {
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    /// The server failed, and charged nothing.
    #[error("Redis: {0}")]
    Failed(String),
}

/// The outcome for each hit, from the time and what the program found out about each hit that it was asked about.
pub(crate) fn decision(told: Told, hits: &[Hit<'_>], question: &Question) -> Result<Decision, BackendError> {
    read(told, hits, question).map_err(BackendError::unavailable)
}

fn read(told: Told, hits: &[Hit<'_>], question: &Question) -> Result<Decision, NoAnswer> {
    let Told { at, said } = told;
    if let Some(reason) = said.text() {
        return Err(NoAnswer::Failed(reason));
    }
    let mut items = said.into_items().ok_or(Nonsense("no list"))?.into_iter();
    let mut sums = vec![Sum { admitted: true, cost: 0 }; question.keys.len()];
    let mut outcomes = Vec::with_capacity(hits.len());
    for (hit, place) in hits.iter().zip(&question.places) {
        let Some(sum) = place.and_then(|place| sums.get_mut(place)) else {
            outcomes.push(unlimited(hit, at));
            continue;
        };
        let fits = items.next().and_then(|fits| fits.integer()).ok_or(Nonsense("too short"))?;
        let stored = items.next().ok_or(Nonsense("too short"))?;
        sum.admitted &= fits == 1;
        sum.cost = sum.cost.saturating_add(hit.cost);
        let past = past(stored.bytes().ok_or(Nonsense("no state"))?)?;
        outcomes.push(Outcome { admitted: sum.admitted, past, cost: sum.cost, at });
    }
    Ok(outcomes.into_iter().collect())
}

/// The hits on one entry so far.
#[derive(Clone)]
struct Sum {
    admitted: bool,
    cost: u64,
}

/// The decision where there is nothing to ask.
pub(crate) fn all_unlimited(hits: &[Hit<'_>]) -> Decision {
    let now = AnyClock::system().now();
    hits.iter().map(|hit| unlimited(hit, now)).collect()
}

/// What comes of a hit that nobody has to be asked about.
pub(crate) fn unlimited(hit: &Hit<'_>, at: Timestamp) -> Outcome {
    Outcome { admitted: true, past: None, cost: hit.cost, at }
}

/// A state as `state.lua` packs it.
fn past(packed: &[u8]) -> Result<Option<Past>, Nonsense> {
    if packed.is_empty() {
        return Ok(None);
    }
    let Some((1, mut rest)) = packed.split_first() else { return Err(Nonsense("a state of another version")) };
    let mut number = |bytes| {
        let (number, after) = rest.split_at_checked(bytes).ok_or(Nonsense("a state that is too short"))?;
        rest = after;
        Ok(number.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    };
    let [expires, first, second] = [number(7)?, number(7)?, number(7)?];
    let [limit, period] = [number(6)?, number(6)?];
    let rate = Rate::new(limit, Duration::from_micros(period)).map_err(|_| Nonsense("a state of no rate"))?;
    Ok(Some(Past { state: State::new(Timestamp::from_micros(expires), [first, second]), rate }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_as_it_was_packed() {
        let mut packed = vec![1];
        for (number, bytes) in [(1_760_000_000_000_001_u64, 7), (3, 7), (1 << 50, 7), (100, 6), (60_000_000, 6)] {
            packed.extend(number.to_le_bytes().into_iter().take(bytes));
        }
        let state = State::new(Timestamp::from_micros(1_760_000_000_000_001), [3, 1 << 50]);
        assert_eq!(packed.len(), 34);
        assert_eq!(past(&packed).unwrap(), Some(Past { state, rate: Rate::literal("100/min") }));
        assert_eq!(past(b"").unwrap(), None);
    }

    #[test]
    fn what_is_no_state_is_an_error() {
        assert!(past(&[2; 34]).is_err());
        assert!(past(&[1; 33]).is_err());
        assert!(past(&[1]).is_err());
    }
}
