use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use parking_lot::Mutex;
use smallvec::{SmallVec, smallvec};
use traffik_core::{
    backend::{Backend, BackendError},
    clock::AnyClock,
    decision::{Adjustment, Charge},
};

use super::{
    first_of,
    lease_table::LeaseTable,
    settlement::{AdjustError, AdjustResult, HeldCharge, Pending, Settlement, last},
    watchers::Watchers,
};
use crate::observe::LogThrottle;

/// Makes the calls of a store that no request waits for: it renews permits, and settles charges.
///
/// The task of the store owns it, so that a permit of a limit that was removed is given back although its store is gone. It does not
/// own the tasks, which may own it.
pub(super) struct Upkeep {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) clock: AnyClock,
    pub(super) timeout: Duration,
    pub(super) leases: Mutex<LeaseTable>,
    /// The settlements that wait or are under way.
    pub(super) pending: Arc<Pending>,
    pub(super) watchers: Arc<Watchers>,
    renewal_failures: LogThrottle,
    settlement_failures: LogThrottle,
    /// The number of charges that may not have been settled. A standby counts to its primary.
    pub(super) lost_settlements: Arc<AtomicU64>,
}

impl Upkeep {
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        clock: AnyClock,
        timeout: Duration,
        watchers: Arc<Watchers>,
        lost_settlements: Arc<AtomicU64>,
    ) -> Self {
        Self {
            backend,
            clock,
            timeout,
            leases: Mutex::default(),
            pending: Arc::default(),
            watchers,
            renewal_failures: LogThrottle::default(),
            settlement_failures: LogThrottle::default(),
            lost_settlements,
        }
    }

    /// Leaves a permit to be given back by the task. If too many wait, it is free once its lease ends.
    pub(super) fn give_back_later(&self, charge: HeldCharge) {
        let limit = Arc::clone(&charge.limit);
        match self.pending.settlement(smallvec![(charge, 0)], None) {
            Ok(settlement) => self.leases.lock().settle(settlement),
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
        if self.settlement_failures.is_due(self.clock.now()) {
            tracing::warn!(
                backend = self.backend.namespace(),
                uid,
                charges,
                %error,
                "charges may not have been settled or given back: they stay as they are until they end by themselves"
            );
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
        let done = settled.iter().filter(|(_, result)| result.is_ok());
        self.watchers.adjusted(done.flat_map(|(settlement, _)| settlement.adjustments()));
        let (now, all) = (self.clock.now(), settled.len());
        let ended = |(settlement, result): (Settlement, AdjustResult)| match result {
            Err(error) if error.can_be_repeated() => {
                self.leases.lock().try_again(settlement, now).map(|settlement| (settlement, Err(error)))
            }
            result => Some((settlement, result)),
        };
        let ended: Vec<_> = settled.into_iter().filter_map(ended).collect();
        self.warn_of_settlements(
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
        let now = self.clock.now();
        let mut renewals = answer.as_deref().unwrap_or_default().iter();
        let mut failed = 0;
        for (number, charge) in charges {
            let renewed_at = renewals.next().copied().flatten();
            failed += usize::from(renewed_at.is_none());
            let left = self.leases.lock().renewed(number, charge, renewed_at, now);
            if let Some(charge) = left {
                self.give_back_later(charge);
            }
        }
        if failed > 0 && !matches!(answer, Err(BackendError::Closed)) && self.renewal_failures.is_due(now) {
            let error = answer.err().map(tracing::field::display);
            tracing::warn!(
                backend = self.backend.namespace(),
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
