use std::sync::Arc;

use smallvec::smallvec;
use traffik_core::{
    clock::Timestamp,
    decision::{Hit, LimitId},
};

use super::renewal_task::{settle_now, wake};
use crate::{
    observe::Held,
    store::{handle::Store, settlement::HeldCharge},
};

/// A permit that is held. It is given back when it is dropped.
///
/// A store that does not wait takes it back in the drop. Elsewhere the renewal task gives it back a moment later, on another
/// runtime if its own has ended. Without any runtime, the permit is free once its lease has ended.
#[derive(Debug)]
pub(crate) struct Lease {
    store: Arc<Store>,
    number: u64,
    held: Held,
}

impl Lease {
    /// Holds a permit that was just charged. The runtime of the caller renews it, if there is one.
    pub(crate) fn new(
        store: &Arc<Store>,
        limit: &Arc<LimitId>,
        hit: &Hit<'_>,
        charged_at: Timestamp,
        held: Held,
    ) -> Self {
        let now = store.clock().now();
        let (number, must_wake) = store.upkeep.leases().add(HeldCharge::new(limit, hit, charged_at), now);
        store.tasks.remember_runtime();
        if must_wake {
            wake(store);
        }
        Self { store: Arc::clone(store), number, held }
    }

    /// Ends the lease of a caller that gives the permit back itself. Returns when the permit was charged.
    ///
    /// Returns `None` if the lease has ended before, and if the permit is being renewed: the renewal task then gives it back.
    pub(crate) fn end(&self) -> Option<Timestamp> {
        self.held.end();
        self.store.upkeep.leases().remove(self.number).map(|charge| charge.charged_at)
    }

    /// Gives the permit back, unless that was done before. The caller does not have to wait until it is done.
    pub(crate) fn give_back(&self) {
        self.held.end();
        let Some(charge) = self.store.upkeep.leases().remove(self.number) else { return };
        self.store.tasks.remember_runtime();
        if !self.store.is_immediate() {
            self.store.upkeep.give_back_later(charge);
            wake(&self.store);
        } else if let Ok(settlement) = self.store.upkeep.pending.settlement(smallvec![(charge, 0)], None) {
            settle_now(&self.store, settlement);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back();
    }
}
