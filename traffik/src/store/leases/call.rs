use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Weak},
    task::Poll,
    time::Duration,
};

use smallvec::SmallVec;
use traffik_core::{
    backend::{Backend, BackendError},
    clock::AnyClock,
    decision::{Adjustment, Charge},
};

use crate::store::{
    deadline::first_of,
    handle::Store,
    settlement::{AdjustError, HeldCharge, Settlement, last},
};

/// Makes the calls of a store that no request waits for. It does not keep the store alive.
pub(super) struct Call {
    store: Weak<Store>,
    backend: Arc<dyn Backend>,
    clock: AnyClock,
    timeout: Duration,
}

impl Call {
    pub(super) fn new(store: &Arc<Store>) -> Self {
        Self {
            store: Arc::downgrade(store),
            backend: Arc::clone(&store.backend),
            clock: store.clock().clone(),
            timeout: store.timeout(),
        }
    }

    /// Settles charges. Those for which the call did not run are left for the task, and `false` is returned.
    pub(super) async fn settle(&self, settlements: Vec<Settlement>) -> bool {
        // A custom strategy that panics fails its own call alone.
        let (custom, others): (Vec<_>, Vec<_>) = settlements.into_iter().partition(Settlement::is_custom);
        let mut all_ran = self.settle_together(others).await;
        for settlement in custom {
            all_ran &= self.settle_together(vec![settlement]).await;
        }
        all_ran
    }

    async fn settle_together(&self, settlements: Vec<Settlement>) -> bool {
        if settlements.is_empty() {
            return true;
        }
        let adjustments: SmallVec<[Adjustment<'_>; 1]> = settlements.iter().flat_map(Settlement::adjustments).collect();
        let answer = self.receive(async { self.backend.adjust(&adjustments).await }).await;
        drop(adjustments);
        let adjusted = match answer {
            Ok(adjusted) => adjusted,
            Err(error) => return self.failed(settlements, error),
        };
        if let Some(store) = self.store.upgrade() {
            store.watchers.adjusted(settlements.iter().flat_map(Settlement::adjustments));
        }
        let mut adjusted = adjusted.into_iter();
        for settlement in settlements {
            let expected = settlement.len();
            let own: SmallVec<[_; 1]> = adjusted.by_ref().take(expected).collect();
            let result = last(Ok(own), expected);
            if let (Err(error), Some(store)) = (&result, self.store.upgrade()) {
                store.warn_of_settlements(settlement.uid(), 1, error);
            }
            settlement.finish(result);
        }
        true
    }

    /// Leaves settlements that did not run for the task. Finishes the others, and returns whether these are all.
    fn failed(&self, settlements: Vec<Settlement>, error: BackendError) -> bool {
        let Some(store) = self.store.upgrade() else { return true };
        let (now, all) = (store.clock().now(), settlements.len());
        let lost: Vec<Settlement> = match error {
            BackendError::NotRun(_) => {
                let mut leases = store.leases();
                settlements.into_iter().filter_map(|settlement| leases.try_again(settlement, now)).collect()
            }
            _ => settlements,
        };
        let (lost_all, error) = (lost.len() == all, AdjustError::from(error));
        if let Some(first) = lost.first() {
            store.warn_of_settlements(first.uid(), lost.len(), &error);
        }
        lost.into_iter().for_each(|settlement| settlement.finish(Err(error.clone())));
        lost_all
    }

    /// Renews permits.
    pub(super) async fn renew(&self, charges: Vec<(u64, HeldCharge)>) {
        if charges.is_empty() {
            return;
        }
        let renewed: Vec<Charge<'_>> = charges.iter().map(|(_, held)| held.charge()).collect();
        let answer = self.receive(async { self.backend.renew(&renewed).await }).await;
        drop(renewed);
        let Some(store) = self.store.upgrade() else { return };
        let now = store.clock().now();
        let mut renewals = answer.as_deref().unwrap_or_default().iter();
        let mut failed = 0;
        for (number, charge) in charges {
            let renewed_at = renewals.next().copied().flatten();
            failed += usize::from(renewed_at.is_none());
            let left = store.leases().renewed(number, charge, renewed_at, now);
            if let Some(charge) = left {
                store.give_back_later(charge);
            }
        }
        if failed > 0 && !matches!(answer, Err(BackendError::Closed)) && store.renewal_failures.is_due(now) {
            let error = answer.err().map(tracing::field::display);
            tracing::warn!(
                backend = store.namespace(),
                permits = failed,
                error,
                "permits are held that were not renewed: until they are, more may be held than their limits allow"
            );
        }
    }

    /// Waits for an answer within the deadline, without a timer of a runtime. A backend that panics fails this call alone.
    async fn receive<T>(&self, call: impl Future<Output = Result<T, BackendError>>) -> Result<T, BackendError> {
        let mut call = pin!(first_of(call, self.clock.sleep_on_any_runtime(self.timeout)));
        let answer = poll_fn(|cx| {
            let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(cx)));
            polled.unwrap_or_else(|_| Poll::Ready(Some(Err(BackendError::unavailable("the backend panicked")))))
        });
        answer.await.unwrap_or(Err(BackendError::Timeout(self.timeout)))
    }
}
