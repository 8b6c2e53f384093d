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
    settlement::{AdjustError, AdjustResult, HeldCharge, Settlement, last},
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

    /// Settles charges. Those that did not run are left for the task, and `false` is returned.
    pub(super) async fn settle(&self, settlements: Vec<Settlement>) -> bool {
        if settlements.is_empty() {
            return true;
        }
        let adjustments: SmallVec<[Adjustment<'_>; 1]> = settlements.iter().flat_map(Settlement::adjustments).collect();
        let answer = self.receive(async { self.backend.adjust(&adjustments).await }).await;
        drop(adjustments);
        let mut answer = answer.map(Vec::into_iter).map_err(AdjustError::from);
        let result = |settlement: &Settlement| match &mut answer {
            Ok(adjusted) => last(adjusted, settlement.len()),
            Err(error) => Err(error.clone()),
        };
        let results: Vec<_> = settlements.iter().map(result).collect();
        self.finish(settlements.into_iter().zip(results).collect())
    }

    /// Leaves settlements that did not run for the task. Finishes the others, and returns whether these are all.
    fn finish(&self, settled: Vec<(Settlement, AdjustResult)>) -> bool {
        let Some(store) = self.store.upgrade() else {
            settled.into_iter().for_each(|(settlement, result)| settlement.finish(result));
            return true;
        };
        let done = settled.iter().filter(|(_, result)| result.is_ok());
        store.watchers.adjusted(done.flat_map(|(settlement, _)| settlement.adjustments()));
        let (now, all) = (store.clock().now(), settled.len());
        let ended = |(settlement, result): (Settlement, AdjustResult)| match result {
            Err(error) if error.can_be_repeated() => {
                store.leases().try_again(settlement, now).map(|settlement| (settlement, Err(error)))
            }
            result => Some((settlement, result)),
        };
        let ended: Vec<_> = settled.into_iter().filter_map(ended).collect();
        store.warn_of_settlements(
            ended.iter().filter_map(|(settlement, result)| Some((settlement.uid(), result.as_ref().err()?))),
        );
        let ended_all = ended.len() == all;
        ended.into_iter().for_each(|(settlement, result)| settlement.finish(result));
        ended_all
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
