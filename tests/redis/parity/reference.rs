//! The reference of the conformance suite, with the states that Redis reports.

#[path = "../../../traffik-conformance/src/reference.rs"]
#[allow(dead_code, reason = "the suite needs more of it")]
mod store;

use std::mem;

use traffik::{
    backend::{Adjusted, AdjustmentError},
    clock::Timestamp,
    decision::{Adjustment, Charge, Hit, Outcome},
    strategy::Strategy,
};

#[derive(Default)]
pub(super) struct Reference(store::Reference);

impl Reference {
    pub(super) fn decide(&mut self, hits: &[Hit<'_>], now: Timestamp) -> Vec<Outcome> {
        reported(hits, self.0.decide(hits, now))
    }

    pub(super) fn peek(&self, hits: &[Hit<'_>], now: Timestamp) -> Vec<Outcome> {
        reported(hits, self.0.peek(hits, now))
    }

    pub(super) fn settle(&mut self, adjustment: Adjustment<'_>, now: Timestamp) -> Option<Adjusted> {
        let adjusted = self.0.adjust(&[adjustment], now).pop()?;
        Some(adjusted.map(|outcome| with_summary(&adjustment.charge.hit, outcome)))
    }

    pub(super) fn renew(&mut self, charge: Charge<'_>, now: Timestamp) -> Option<Timestamp> {
        self.0.renew(&[charge], now).contains(&true).then_some(now)
    }

    pub(super) fn reset(&mut self, hit: Hit<'_>) {
        self.0.reset(&[hit]);
    }
}

fn reported(hits: &[Hit<'_>], outcomes: Vec<Outcome>) -> Vec<Outcome> {
    hits.iter().zip(outcomes).map(|(hit, outcome)| with_summary(hit, outcome)).collect()
}

/// A backend reports of a log only what the numbers of the outcome depend on.
fn with_summary(hit: &Hit<'_>, mut outcome: Outcome) -> Outcome {
    let past = outcome.past.take();
    let past = past.map(|past| hit.limit.strategy().summary(&past, hit.rate, outcome.cost, outcome.at));
    outcome.with_past(past)
}

/// Checks that adjustments have the same results, or errors of the same kind of their strategies. The words of an error may
/// differ.
pub(super) fn assert_same(found: &[Adjusted], expected: &[Adjusted], says: &str) {
    let kind = |error: &AdjustmentError| match error {
        AdjustmentError::Strategy(error) => Ok(mem::discriminant(error)),
        other => Err(other.to_string()),
    };
    let kinds = |adjusted: &[Adjusted]| -> Vec<_> {
        adjusted.iter().map(|adjusted| adjusted.as_ref().map_err(kind).cloned()).collect()
    };
    assert_eq!(kinds(found), kinds(expected), "{says}");
}
