//! Makes limits of checks and a decision.

use std::sync::Arc;

use smallvec::SmallVec;
use traffik_core::{clock::Timestamp, decision::Outcome, rate::Rate};
use triomphe::Arc as Shared;

use super::{Check, Checks, Limit, Limits, in_force::Blocks, limits::Account};
use crate::{
    observe::{EventFacts, EventOutcome, Took},
    on_error::{Decided, DecidedBy},
    store::HITS_INLINE,
};

/// Checks become limits.
impl Limits {
    /// Returns the limits of a decision. Its outcomes are those of the counted checks, in order.
    #[inline(always)]
    pub(crate) fn new(checks: Checks<'_>, mut decided: Decided, took: Took) -> Self {
        let (is_charged, are_held) = (decided.decision.is_admitted(), checks.are_held());
        let mut limits = Self::build(checks, &mut decided, is_charged, took);
        if is_charged && are_held {
            limits.hold();
        }
        limits
    }

    /// Returns the limits of a decision that charged nothing.
    pub(crate) fn peeked(checks: Checks<'_>, mut decided: Decided) -> Self {
        Self::build(checks, &mut decided, false, Took::default())
    }

    #[inline]
    fn build(checks: Checks<'_>, Decided { decision, by }: &mut Decided, is_charged: bool, took: Took) -> Self {
        let delays = is_charged && checks.iter().any(|check| check.definition.queue.is_some());
        let queued = if delays { queued(&checks, decision.outcomes()) } else { SmallVec::new() };
        let (mut outcomes, mut queued, mut places) = (decision.take_outcomes(), queued.into_iter(), 0..);
        Self::of_all(checks.map_into(|mut check| {
            let place = places.next().unwrap_or_default();
            let queued = queued.next().unwrap_or_default();
            match check.charged_before.take() {
                Some(limit) => limit,
                None if check.is_counted() => Shared::new(limit(check, outcomes.next(), by.at(place), queued, took)),
                None => Shared::new(limit(check, None, DecidedBy::Primary, 0, Took::default())),
            }
        }))
    }

    /// Returns the limits of a decision that is refused because a client is blocked. No backend is asked.
    #[cold]
    pub(super) fn blocked(checks: Checks<'_>, blocks: Blocks, now: Timestamp) -> Self {
        let mut blocks = blocks.into_iter();
        Self::of_all(checks.map_into(|mut check| match (check.charged_before.take(), blocks.next().flatten()) {
            (Some(limit), _) => limit,
            (None, Some(block)) => {
                // A block is stronger than a dry run.
                let outcome = Some(Outcome::new(false, check.cost, now));
                let check = Check { enforced: true, ..check };
                Shared::new(Limit {
                    block: Some(block),
                    ..limit(check, outcome, DecidedBy::Primary, 0, Took::default())
                })
            }
            (None, None) => {
                let check = Check { skipped: check.skipped.or(Some(EventOutcome::NotApplied)), ..check };
                Shared::new(limit(check, None, DecidedBy::Primary, 0, Took::default()))
            }
        }))
    }
}

/// Returns what the decision charged to the entry of each check.
#[cold]
fn queued(checks: &Checks<'_>, outcomes: &[Outcome]) -> SmallVec<[u64; HITS_INLINE]> {
    let mut outcomes = outcomes.iter();
    let mut granted = |check: &Check<'_>| {
        let outcome = if check.is_counted() { outcomes.next() } else { None };
        outcome.map_or(0, |outcome| outcome.granted)
    };
    let granted: SmallVec<[u64; HITS_INLINE]> = checks.iter().map(&mut granted).collect();
    checks.iter().map(|check| checks.queued(check, &granted)).collect()
}

/// `queued` is what the decision charged to the entry in all, if the strategy delays.
#[inline]
fn limit(check: Check<'_>, outcome: Option<Outcome>, by: DecidedBy, queued: u64, took: Took) -> Limit {
    let uncounted = match (&outcome, &by) {
        (Some(_), _) | (None, DecidedBy::Unchecked) => EventOutcome::Unchecked,
        (None, DecidedBy::DryRun) => EventOutcome::WouldRefuse,
        (None, _) => check.uncounted(),
    };
    let facts = EventFacts::new(uncounted, check.enforced, took);
    let rate = if outcome.is_some() { rate(&check, &by) } else { check.rate };
    let Check { definition, backend, client, is_full, fields, .. } = check;
    Limit {
        definition: Arc::clone(definition),
        backend,
        client,
        rate,
        queued,
        is_full,
        fields,
        outcome,
        by,
        block: None,
        lease: None,
        account: Account::default(),
        facts,
    }
}

/// Returns the rate that decided.
fn rate(check: &Check<'_>, by: &DecidedBy) -> Rate {
    match by {
        DecidedBy::Fallback(fallback) => fallback.share_of(check.strategy(), check.rate, check.cost).0,
        DecidedBy::Primary | DecidedBy::Unchecked | DecidedBy::DryRun | DecidedBy::Connection(..) => check.rate,
    }
}
