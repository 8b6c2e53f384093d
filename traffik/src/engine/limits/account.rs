//! What became of a charge since its decision.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use smallvec::{SmallVec, smallvec};
use tokio::sync::oneshot;
use traffik_core::{backend::MaybeReady, clock::Timestamp, decision::Outcome};

use crate::store::AdjustError;

/// The number of parts of a charge that are remembered. Of a charge that grew more often, later parts are given back like the
/// last one that is remembered, which may give back less.
const MAX_PARTS: usize = 16;

/// The result of a change that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// The charge has the new cost.
    Done,
    /// There was no charge: the client is exempt, the cost was 0, the rate is unlimited, limits are
    /// [disabled](crate::Traffik::disabled), no backend answered and [`on_error`](crate::on_error) admitted the client, or the
    /// client is over a limit in a [dry run](crate::Settings::dry_run).
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
    /// `None` until the first change, as most charges stay.
    state: Mutex<Option<Box<State>>>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) has_ended: bool,
    /// Whether a body settles the charge, and the head of its response does not.
    pub(super) is_left_to_body: bool,
    /// The cost after the change that waits for the backend, if there is one.
    pub(super) changing_to: Option<u64>,
    /// What was charged, the latest last. Empty until the first change: the charge is then that of the decision.
    pub(super) parts: SmallVec<[Part; 1]>,
    /// The outcome of the latest change.
    pub(super) latest: Option<Outcome>,
    /// Changes that wait, at most three: later additions join the last one.
    pub(super) waiting: VecDeque<Waiting>,
}

/// A part of a charge, and when it was charged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) cost: u64,
    pub(super) at: Timestamp,
}

/// A change that waits for the one before, and those who wait for its result.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) change: Change,
    pub(super) replies: SmallVec<[Reply; 1]>,
}

pub(super) type Reply = oneshot::Sender<Result<Settlement, AdjustError>>;

impl State {
    /// Returns what is charged in total.
    pub(super) fn charged(&self) -> u64 {
        self.parts.iter().fold(0, |sum, part| sum.saturating_add(part.cost))
    }

    /// Adds a change that waits. Additions that follow each other are one change.
    pub(super) fn wait(&mut self, change: Change, reply: Reply) {
        match (self.waiting.back_mut(), change) {
            (Some(Waiting { change: Change::More(sum), replies }), Change::More(more)) => {
                *sum = sum.saturating_add(more);
                replies.retain(|reply| !reply.is_closed());
                replies.push(reply);
            }
            _ => self.waiting.push_back(Waiting { change, replies: smallvec![reply] }),
        }
    }

    /// Returns the parts to change so that `less` is given back, the latest first, and the new cost of each.
    pub(super) fn shrinking(&self, mut less: u64) -> impl Iterator<Item = (Part, u64)> {
        let changed = self.parts.iter().rev().map(move |part| {
            let given_back = part.cost.min(less);
            less -= given_back;
            (*part, part.cost - given_back)
        });
        changed.take_while(|(part, actual)| part.cost != *actual)
    }

    /// Records that `actual` is charged since `at`.
    pub(super) fn record(&mut self, actual: u64, at: Timestamp) {
        let charged = self.charged();
        if actual > charged {
            return self.grow(actual - charged, at);
        }
        let kept: SmallVec<[_; 1]> = self.shrinking(charged - actual).collect();
        for ((_, cost), part) in kept.into_iter().zip(self.parts.iter_mut().rev()) {
            part.cost = cost;
        }
        self.parts.retain(|part| part.cost > 0);
        if self.parts.is_empty() {
            self.parts.push(Part { cost: 0, at });
        }
    }

    /// Adds a part. If there are many, it joins the last one.
    fn grow(&mut self, cost: u64, at: Timestamp) {
        let is_full = self.parts.len() == MAX_PARTS;
        match self.parts.last_mut() {
            Some(last) if last.at == at || is_full => last.cost = last.cost.saturating_add(cost),
            _ => self.parts.push(Part { cost, at }),
        }
    }
}

impl Account {
    /// Calls `read` with the outcome of the latest change, if there is one.
    pub(super) fn with_latest<R>(&self, read: impl FnOnce(Option<&Outcome>) -> R) -> R {
        if self.has_latest.load(Ordering::Acquire) {
            read(self.lock().as_ref().and_then(|state| state.latest.as_ref()))
        } else {
            read(None)
        }
    }

    pub(super) fn set_latest(&self, state: &mut State, outcome: Outcome) {
        state.latest = Some(outcome);
        self.has_latest.store(true, Ordering::Release);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Option<Box<State>>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A clone shows the same, and has no changes of its own.
impl Clone for Account {
    fn clone(&self) -> Self {
        let clone = Self::default();
        self.with_latest(|latest| {
            latest.cloned().map(|outcome| clone.set_latest(clone.lock().get_or_insert_default(), outcome))
        });
        clone
    }
}
