//! Changes of charges that were made before: settlements, refunds, and permits that are given back.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use smallvec::SmallVec;
use thiserror::Error;
use tokio::sync::Notify;
use traffik_core::{
    backend::{Adjusted, AdjustmentError, BackendError},
    client::Key,
    clock::Timestamp,
    decision::{Adjustment, Charge, Hit, LimitId, Outcome},
    rate::Rate,
    strategy::SettleError,
};

/// The number of changes of one store that may wait or be under way.
const MAX_PENDING: usize = 10_000;

/// The reason why a charge was not changed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum AdjustError {
    /// The charge was settled or refunded before, by this permit or by a clone of it.
    #[error("the charge was settled or refunded before")]
    Settled,
    /// The strategy cannot store the new cost. The charge stays as it was, and can be settled again.
    #[error(transparent)]
    Strategy(#[from] SettleError),
    /// The backend gave no answer. If the call [did not run](BackendError::may_have_run), the charge stays as it was, and can be
    /// settled again. A permit of [`Concurrency`](crate::Concurrency) cannot: it is free once its lease ends.
    #[error("the charge was not changed: {0}")]
    Backend(#[source] Arc<BackendError>),
    /// Too many changes wait for the backend. The charge stays as it was, and can be settled again.
    #[error("the charge was not changed, because {MAX_PENDING} changes wait for the backend already")]
    QueueFull,
}

/// The outcome of the last adjustment of a change.
pub(crate) type AdjustResult = Result<Outcome, AdjustError>;

/// Takes the results of some adjustments, and returns the outcome of the last, or an error if one of them failed.
pub(super) fn last(results: &mut impl Iterator<Item = Adjusted>, adjustments: usize) -> AdjustResult {
    let (mut last, mut failed, mut received) = (None, None::<AdjustError>, 0);
    for one in results.take(adjustments) {
        received += 1;
        match one {
            Ok(outcome) => last = Some(outcome),
            Err(error) if failed.as_ref().is_none_or(|failed| !failed.may_have_run()) => failed = Some(error.into()),
            Err(_) => {}
        }
    }
    match failed {
        _ if received < adjustments => Err(BackendError::unavailable("the backend returned too few results").into()),
        // Repeating them would repeat those that ran.
        Some(AdjustError::Backend(error)) if last.is_some() && !error.may_have_run() => {
            Err(BackendError::unavailable(error).into())
        }
        Some(error) => Err(error),
        None => last.ok_or_else(|| BackendError::not_run("there is nothing to adjust").into()),
    }
}

impl AdjustError {
    /// Returns `true` if the charge stays as it was, and the same change can be made again.
    pub(super) fn can_be_repeated(&self) -> bool {
        matches!(self, Self::Backend(error) if matches!(**error, BackendError::NotRun(_)))
    }

    /// Returns `true` if the charge may have changed all the same.
    pub(crate) fn may_have_run(&self) -> bool {
        matches!(self, Self::Backend(error) if error.may_have_run())
    }
}

impl From<BackendError> for AdjustError {
    fn from(error: BackendError) -> Self {
        Self::Backend(Arc::new(error))
    }
}

impl From<AdjustmentError> for AdjustError {
    fn from(error: AdjustmentError) -> Self {
        match error {
            AdjustmentError::Strategy(error) => Self::Strategy(error),
            AdjustmentError::Backend(error) => Self::Backend(error),
            other => BackendError::unavailable(other).into(),
        }
    }
}

/// A charge that outlives its request.
#[derive(Clone, Debug)]
pub(super) struct HeldCharge {
    pub(super) limit: Arc<LimitId>,
    key: Key,
    pub(super) rate: Rate,
    cost: u64,
    pub(super) charged_at: Timestamp,
}

impl HeldCharge {
    pub(super) fn new(limit: &Arc<LimitId>, hit: &Hit<'_>, charged_at: Timestamp) -> Self {
        let Hit { key, rate, cost, .. } = *hit;
        Self { limit: Arc::clone(limit), key: key.clone(), rate, cost, charged_at }
    }

    pub(super) fn charge(&self) -> Charge<'_> {
        Charge::new(Hit::new(&self.limit, &self.key, self.rate, self.cost), self.charged_at)
    }
}

/// A charge whose cost is to be replaced. A charge that has grown is several, made one after the other.
pub(crate) struct Settlement {
    charges: SmallVec<[(HeldCharge, u64); 1]>,
    /// The number of times that it did not run.
    pub(super) tries: u32,
    done: Option<Done>,
    _pending: PendingToken,
}

/// Receives the result of a settlement.
pub(crate) type Done = Box<dyn FnOnce(AdjustResult) + Send>;

/// Stores limits outside of a backend, and settles charges to them.
pub(crate) trait Settles: fmt::Debug + Send + Sync {
    /// Settles a charge to the limit at a place: immediately, or once the present decision has ended.
    fn settle(&self, place: usize, limit: &Arc<LimitId>, adjustments: &[Adjustment<'_>], done: Done);
}

impl Settlement {
    pub(crate) fn adjustments(&self) -> impl Iterator<Item = Adjustment<'_>> {
        self.charges.iter().map(|(held, actual)| held.charge().settle(*actual))
    }

    pub(super) fn len(&self) -> usize {
        self.charges.len()
    }

    pub(super) fn uid(&self) -> &str {
        self.charges.first().map_or("", |(held, _)| held.limit.uid())
    }

    pub(crate) fn finish(mut self, result: AdjustResult) {
        if let Some(done) = self.done.take() {
            done(result);
        }
    }
}

/// A settlement that is dropped, for instance with the last runtime, may have run.
impl Drop for Settlement {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            done(Err(BackendError::unavailable("the task of the store ended").into()));
        }
    }
}

impl fmt::Debug for Settlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { charges, tries, .. } = self;
        f.debug_struct("Settlement").field("charges", charges).field("tries", tries).finish_non_exhaustive()
    }
}

/// The settlements of a store that wait or are under way.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    count: AtomicUsize,
    is_zero: Notify,
}

/// Counts one settlement until it is dropped.
struct PendingToken(Arc<Pending>);

impl Pending {
    /// Creates a settlement of what was charged in one decision, and later.
    ///
    /// # Errors
    ///
    /// Returns `done` if there are too many settlements.
    pub(crate) fn settlement_of(
        self: &Arc<Self>,
        limit: &Arc<LimitId>,
        adjustments: &[Adjustment<'_>],
        done: Done,
    ) -> Result<Settlement, Option<Done>> {
        let held = |adjustment: &Adjustment<'_>| {
            let Charge { hit, at, .. } = &adjustment.charge;
            (HeldCharge::new(limit, hit, *at), adjustment.actual)
        };
        self.settlement(adjustments.iter().map(held).collect(), Some(done))
    }

    /// Creates a settlement.
    ///
    /// # Errors
    ///
    /// Returns `done` if there are too many settlements.
    pub(super) fn settlement(
        self: &Arc<Self>,
        charges: SmallVec<[(HeldCharge, u64); 1]>,
        done: Option<Done>,
    ) -> Result<Settlement, Option<Done>> {
        let is_full = self.count.fetch_add(1, Ordering::Relaxed) >= MAX_PENDING;
        let pending = PendingToken(Arc::clone(self));
        if is_full { Err(done) } else { Ok(Settlement { charges, tries: 0, done, _pending: pending }) }
    }

    /// Waits until there is none.
    pub(super) async fn none(&self) {
        loop {
            let is_zero = self.is_zero.notified();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            is_zero.await;
        }
    }
}

impl Drop for PendingToken {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.is_zero.notify_waiters();
        }
    }
}
