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

use crate::store::{deadline::first_of, handle::Store, lease_table::HeldCharge};

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

    /// Gives permits back. Those for which the call did not run are left for the renewal task, and `false` is returned.
    pub(super) async fn give_back(&self, charges: Vec<HeldCharge>) -> bool {
        if charges.is_empty() {
            return true;
        }
        let refunds: SmallVec<[Adjustment<'_>; 1]> = charges.iter().map(|held| held.charge().refund()).collect();
        let answer = self.receive(async { self.backend.adjust(&refunds).await }).await;
        let (Err(error), Some(store)) = (answer, self.store.upgrade()) else { return true };
        drop(refunds);
        let now = store.clock().now();
        let (all, mut lost) = (charges.len(), charges.len());
        if let BackendError::NotRun(_) = error {
            let mut leases = store.leases();
            lost = charges.into_iter().map(|charge| leases.try_again(charge, now)).filter(|is_kept| !is_kept).count();
        }
        if lost > 0 && !matches!(error, BackendError::Closed) && store.refund_failures.is_due(now) {
            let backend = store.namespace();
            tracing::warn!(backend, permits = lost, %error, "permits were not given back: they are free once their leases end");
        }
        lost == all
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
            store.leases().renewed(number, charge, renewed_at, now);
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
