//! What became of a charge since its decision.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::oneshot;
use traffik_core::{backend::MaybeReady, decision::Outcome};

use crate::store::AdjustError;

/// The result of a change that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// The charge has the new cost.
    Done,
    /// There was no charge: the client is exempt, the cost was 0, the rate is unlimited, limits are
    /// [disabled](crate::Traffik::disabled), or no backend answered and [`on_error`](crate::on_error) admitted the client.
    NotCounted,
}

/// The answer to a change of a charge. The change has begun. Awaiting the answer only receives the result.
pub type Adjusting<'a> = MaybeReady<'a, Result<Settlement, AdjustError>>;

/// A change of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Replaces the cost, and ends the charge.
    Settle(u64),
    /// Charges more.
    More(u64),
    /// Gives back all of it, even if the charge has ended: the request is refused.
    GiveBack,
}

/// The account of a charge. Its changes are made one after the other.
#[derive(Debug, Default)]
pub(in crate::engine) struct Account {
    /// Whether there is a `latest`. Readers take no lock if there is none.
    has_latest: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) has_ended: bool,
    /// Whether a change waits for the backend.
    pub(super) is_changing: bool,
    /// The outcome of the latest change.
    pub(super) latest: Option<Box<Outcome>>,
    pub(super) waiting: VecDeque<(Change, Reply)>,
}

pub(super) type Reply = oneshot::Sender<Result<Settlement, AdjustError>>;

impl Account {
    /// Calls `read` with the outcome of the latest change, if there is one.
    pub(super) fn with_latest<R>(&self, read: impl FnOnce(Option<&Outcome>) -> R) -> R {
        if self.has_latest.load(Ordering::Acquire) { read(self.lock().latest.as_deref()) } else { read(None) }
    }

    pub(super) fn set_latest(&self, state: &mut State, outcome: Outcome) {
        state.latest = Some(Box::new(outcome));
        self.has_latest.store(true, Ordering::Release);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A clone shows the same, and has no changes of its own.
impl Clone for Account {
    fn clone(&self) -> Self {
        let clone = Self::default();
        self.with_latest(|latest| latest.cloned().map(|outcome| clone.set_latest(&mut clone.lock(), outcome)));
        clone
    }
}
