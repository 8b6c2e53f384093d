//! Settlements that the task of a store makes.

use std::sync::Arc;

use traffik_core::decision::{Adjustment, LimitId};

use super::renewal_task::wake;
use crate::store::{
    handle::Store,
    settlement::{AdjustError, Done},
};

impl Store {
    /// Has the task of the store settle a charge. `done` receives the result: immediately, if too many settlements wait.
    pub(crate) fn settle_later(&self, limit: &Arc<LimitId>, adjustments: &[Adjustment<'_>], done: Done) {
        match self.upkeep.pending.settlement_of(limit, adjustments, done) {
            Ok(settlement) => {
                self.tasks.remember_runtime();
                self.upkeep.leases().settle(settlement);
                wake(self);
            }
            Err(done) => {
                self.upkeep.warn_of_settlements([(limit.uid(), &AdjustError::QueueFull)]);
                done.into_iter().for_each(|done| done(Err(AdjustError::QueueFull)));
            }
        }
    }
}
