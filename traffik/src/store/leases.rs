//! Permits that are held until they are dropped.
//!
//! An admitted request has a [`Lease`], and gives its permit back by dropping it. While any permit of a store is held, one task
//! renews all of them. The same task makes the settlements that need waiting for.

use std::sync::Arc;

use smallvec::smallvec;
use tokio::sync::Notify;
use traffik_core::{
    clock::Timestamp,
    decision::{Adjustment, Hit, LimitId},
};

use crate::{
    observe::Held,
    store::{
        first_of,
        handle::Store,
        lease_table::Action,
        settlement::{AdjustError, Done, HeldCharge, Settlement},
        upkeep::Upkeep,
    },
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
        let (number, must_wake) = store.upkeep.leases.lock().add(HeldCharge::new(limit, hit, charged_at), now);
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
        self.store.upkeep.leases.lock().remove(self.number).map(|charge| charge.charged_at)
    }

    /// Gives the permit back, unless that was done before. The caller does not have to wait until it is done.
    pub(crate) fn give_back(&self) {
        self.held.end();
        let Some(charge) = self.store.upkeep.leases.lock().remove(self.number) else { return };
        self.store.tasks.remember_runtime();
        if !self.store.is_immediate() {
            self.store.upkeep.give_back_later(charge);
            wake(&self.store);
            return;
        }
        let limit = Arc::clone(&charge.limit);
        match self.store.upkeep.pending.settlement(smallvec![(charge, 0)], None) {
            Ok(settlement) => settle_now(&self.store, settlement),
            Err(_) => self.store.upkeep.warn_of_settlements([(limit.uid(), &AdjustError::QueueFull)]),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Store {
    /// Has the task of the store settle a charge. `done` receives the result: immediately, if too many settlements wait.
    pub(crate) fn settle_later(&self, limit: &Arc<LimitId>, adjustments: &[Adjustment<'_>], done: Done) {
        match self.upkeep.pending.settlement_of(limit, adjustments, done) {
            Ok(settlement) => {
                self.tasks.remember_runtime();
                self.upkeep.leases.lock().settle(settlement);
                wake(self);
            }
            Err(done) => {
                self.upkeep.warn_of_settlements([(limit.uid(), &AdjustError::QueueFull)]);
                done.into_iter().for_each(|done| done(Err(AdjustError::QueueFull)));
            }
        }
    }
}

/// Wakes the task of a store, or starts it.
fn wake(store: &Store) {
    if let Some(task) = start(Arc::clone(&store.upkeep)) {
        store.tasks.spawn(Box::pin(task));
    }
}

/// Makes a settlement that the store is likely to make without waiting.
fn settle_now(store: &Store, settlement: Settlement) {
    let upkeep = Arc::clone(&store.upkeep);
    store.tasks.start(Box::pin(async move {
        if upkeep.settle(vec![settlement]).await {
            return;
        }
        if let Some(task) = start(upkeep) {
            task.await;
        }
    }));
}

/// Wakes the task. Returns it if it does not run yet.
fn start(upkeep: Arc<Upkeep>) -> Option<impl Future<Output = ()>> {
    let (wake, is_new) = upkeep.leases.lock().try_start();
    if is_new {
        return Some(run(upkeep, wake));
    }
    wake.notify_one();
    None
}

/// Renews permits and settles charges, as long as there are any.
async fn run(upkeep: Arc<Upkeep>, wake: Arc<Notify>) {
    loop {
        let now = upkeep.clock.now();
        let action = upkeep.leases.lock().next(now);
        match action {
            Action::Call { settle, renew } => {
                upkeep.settle(settle).await;
                upkeep.renew(renew).await;
            }
            Action::Wait(wait) => {
                first_of(upkeep.clock.sleep_on_any_runtime(wait), wake.notified()).await;
            }
            Action::End => return,
        }
    }
}
