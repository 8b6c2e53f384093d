//! Settlements that the task of a store makes.

use std::sync::{Arc, atomic::Ordering};

use smallvec::smallvec;
use traffik_core::decision::{Adjustment, LimitId};

use super::renewal_task::wake;
use crate::store::{
    handle::Store,
    settlement::{AdjustError, Done, HeldCharge},
};

impl Store {
    /// Has the task of the store settle a charge. `done` receives the result: immediately, if too many settlements wait.
    pub(crate) fn settle_later(self: &Arc<Self>, limit: &Arc<LimitId>, adjustments: &[Adjustment<'_>], done: Done) {
        match self.pending.settlement_of(limit, adjustments, done) {
            Ok(settlement) => {
                self.tasks.remember_runtime();
                self.leases().settle(settlement);
                wake(self);
            }
            Err(done) => {
                self.warn_of_settlements([(limit.uid(), &AdjustError::QueueFull)]);
                done.into_iter().for_each(|done| done(Err(AdjustError::QueueFull)));
            }
        }
    }

    /// Leaves a permit to be given back by the task. If too many wait, it is free once its lease ends.
    pub(in crate::store) fn give_back_later(&self, charge: HeldCharge) {
        let limit = Arc::clone(&charge.limit);
        match self.pending.settlement(smallvec![(charge, 0)], None) {
            Ok(settlement) => self.leases().settle(settlement),
            Err(_) => self.warn_of_settlements([(limit.uid(), &AdjustError::QueueFull)]),
        }
    }

    /// Counts and logs charges that were not changed, with their uids: it may be that no caller waits for the result.
    pub(super) fn warn_of_settlements<'a>(&self, failed: impl IntoIterator<Item = (&'a str, &'a AdjustError)>) {
        let (mut first, mut charges) = (None, 0);
        for (uid, error) in failed {
            // What a strategy cannot store is an error of the caller.
            if !matches!(error, AdjustError::Strategy(_)) {
                self.lost_settlements.fetch_add(1, Ordering::Relaxed);
            }
            first = first.or(Some((uid, error)));
            charges += 1;
        }
        let Some((uid, error)) = first else { return };
        if self.settlement_failures.is_due(self.clock().now()) {
            tracing::warn!(
                backend = self.namespace(),
                uid,
                charges,
                %error,
                "charges may not have been settled or given back: they stay as they are until they end by themselves"
            );
        }
    }
}
