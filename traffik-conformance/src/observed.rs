use std::time::Duration;

use traffik_core::{
    backend::{Adjusted, AdjustmentError},
    clock::Timestamp,
    decision::{Adjustment, Hit, LimitStatus, Outcome},
    strategy::SettleError,
};

/// The numbers of an outcome. How a backend computes them, and what it stores, is not compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Observed {
    pub(super) admitted: bool,
    pub(super) granted: u64,
    /// `None` for a hit at an unlimited rate.
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

impl Observed {
    pub(super) fn of(hits: &[Hit<'_>], outcomes: &[Outcome]) -> Vec<Self> {
        // An outcome without a hit is kept, so that a surplus or a missing outcome is a mismatch.
        let hits = hits.iter().map(Some).chain(std::iter::repeat(None));
        outcomes.iter().zip(hits).map(|(outcome, hit)| Self::one(hit, outcome)).collect()
    }

    fn one(hit: Option<&Hit<'_>>, outcome: &Outcome) -> Self {
        let limited = hit.filter(|hit| !hit.rate.is_unlimited());
        let Outcome { admitted, granted, .. } = *outcome;
        Self { admitted, granted, numbers: limited.map(|hit| Numbers::of(hit, outcome)) }
    }
}

/// The result of an adjustment: the numbers, or the kind of its error.
pub(super) type ObservedAdjustment = Result<Observed, &'static str>;

/// Returns the result of each adjustment. A faulty backend may return too many or too few.
pub(super) fn adjustments(adjustments: &[Adjustment<'_>], adjusted: &[Adjusted]) -> Vec<ObservedAdjustment> {
    let hits = adjustments.iter().map(|adjustment| Some(&adjustment.charge.hit)).chain(std::iter::repeat(None));
    let observed = adjusted.iter().zip(hits).map(|(adjusted, hit)| match adjusted {
        Ok(outcome) => Ok(Observed::one(hit, outcome)),
        Err(AdjustmentError::Strategy(SettleError::TooMuch { .. })) => Err("too much"),
        Err(AdjustmentError::Strategy(SettleError::Indivisible { .. })) => Err("indivisible"),
        Err(AdjustmentError::Backend(_)) => Err("an error of the backend"),
        Err(_) => Err("another error"),
    });
    observed.collect()
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
