use std::time::Duration;

use traffik_core::{
    clock::Timestamp,
    decision::{Hit, LimitStatus, Outcome},
};

/// What an outcome tells, in numbers: how a backend came to them, and what it keeps, is its own matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) admitted: bool,
    /// Of a hit at an unlimited rate nothing is told.
    pub(super) numbers: Option<Numbers>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) cost: u64,
    pub(super) at: Timestamp,
    pub(super) remaining: u64,
    pub(super) retry_after: Option<Duration>,
    pub(super) delay: Duration,
    pub(super) is_never_possible: bool,
    pub(super) more_after: Option<Duration>,
    pub(super) reset_after: Duration,
}

impl Told {
    pub(super) fn of(hits: &[Hit<'_>], outcomes: &[Outcome]) -> Vec<Self> {
        // One too many is told, too, and one that is missing is missed.
        let hits = hits.iter().map(Some).chain(std::iter::repeat(None));
        outcomes.iter().zip(hits).map(|(outcome, hit)| Self::one(hit, outcome)).collect()
    }

    fn one(hit: Option<&Hit<'_>>, outcome: &Outcome) -> Self {
        let limited = hit.filter(|hit| !hit.rate.is_unlimited());
        Self { admitted: outcome.admitted, numbers: limited.map(|hit| Numbers::of(hit, outcome)) }
    }
}

impl Numbers {
    fn of(hit: &Hit<'_>, outcome: &Outcome) -> Self {
        let status = LimitStatus::new(hit.limit.strategy(), hit.rate, outcome);
        Self {
            cost: outcome.cost,
            at: outcome.at,
            remaining: status.remaining().units().unwrap_or(u64::MAX),
            retry_after: status.retry_after(),
            delay: status.delay(),
            is_never_possible: status.is_never_possible(),
            more_after: status.more_after(),
            reset_after: status.reset_after(),
        }
    }
}
