//! Settlements that the task of a store makes.

use std::sync::Arc;

use smallvec::smallvec;
use traffik_core::decision::{Adjustment, Charge, LimitId};

use super::renewal_task::wake;
use crate::store::{
    handle::Store,
    settlement::{AdjustError, Done, HeldCharge},
};

impl Store {
    /// Has the task of the store settle a charge. `done` receives the result: immediately, if too many settlements wait.
    pub(crate) fn settle_later(self: &Arc<Self>, limit: &Arc<LimitId>, adjustments: &[Adjustment<'_>], done: Done) {
        let held = |adjustment: &Adjustment<'_>| {
            let Charge { hit, at, .. } = &adjustment.charge;
            (HeldCharge::new(limit, hit, *at), adjustment.actual)
        };
        match self.pending.settlement(adjustments.iter().map(held).collect(), Some(done)) {
            Ok(settlement) => {
                self.tasks.remember_runtime();
                self.leases().settle(settlement);
                wake(self);
            }
            Err(done) => done.into_iter().for_each(|done| done(Err(AdjustError::QueueFull))),
        }
    }

    /// Leaves a permit to be given back by the task. If too many wait, it is free once its lease ends.
    pub(in crate::store) fn give_back_later(&self, charge: HeldCharge) {
        let now = self.clock().now();
        match self.pending.settlement(smallvec![(charge, 0)], None) {
            Ok(settlement) => self.leases().settle(settlement),
            Err(_) if self.settlement_failures.is_due(now) => {
                let error = AdjustError::QueueFull;
                tracing::warn!(backend = self.namespace(), %error, "permits are free once their leases end");
            }
            Err(_) => {}
        }
    }
}
