//! Changes a charge after its decision.

use smallvec::SmallVec;
use tokio::sync::oneshot;
use traffik_core::{
    backend::{BackendError, MaybeReady},
    clock::Timestamp,
    decision::{Adjustment, Charge, Outcome},
    strategy::{SettleError, StoredState, Strategy},
};
use triomphe::Arc as Shared;

use super::{Adjusting, Change, Limit, Part, Settlement, State, Waiting};
use crate::{
    observe::{ChangeKind, ChangeResult},
    on_error::DecidedBy,
    store::{AdjustError, AdjustResult, Done},
};

type Adjustments<'a> = SmallVec<[Adjustment<'a>; 1]>;

impl Limit {
    /// Starts a change of the charge.
    pub(crate) fn change(this: &Shared<Self>, change: Change) -> Adjusting<'_> {
        if !this.is_chargeable() {
            return MaybeReady::Ready(Ok(Settlement::NotCounted));
        }
        let mut guard = this.account.state.lock();
        let state = guard.get_or_insert_default();
        if let Err(error) = this.accept(state, change) {
            this.count(change, Err(&error));
            return MaybeReady::Ready(Err(error));
        }
        let is_idle = state.changing_to.is_none() && state.waiting.is_empty();
        let Some(store) = this.store().filter(|store| is_idle && store.adjusts_at_once()) else {
            let (reply, received) = oneshot::channel();
            state.wait(change, reply);
            drop(guard);
            return Self::change_later(this, received);
        };
        let (adjustments, actual) = this.begin(state, change);
        if adjustments.is_empty() {
            this.count(change, Ok(()));
            return MaybeReady::Ready(Ok(Settlement::Done));
        }
        // If a custom strategy panics, no change is under way afterwards.
        let answer = store.adjust(&adjustments);
        state.changing_to = Some(actual);
        match answer {
            MaybeReady::Ready(result) => MaybeReady::Ready(this.end(state, change, result)),
            waiting @ MaybeReady::Pending(_) => {
                let receiver = Receiver { limit: this, change, is_received: false };
                MaybeReady::pending(async move { receiver.receive(waiting.await) })
            }
        }
    }

    /// Has the task of the store make the changes that wait.
    fn change_later(
        this: &Shared<Self>,
        mut received: oneshot::Receiver<Result<Settlement, AdjustError>>,
    ) -> Adjusting<'_> {
        Self::start_waiting(this);
        match received.try_recv() {
            Ok(result) => MaybeReady::Ready(result),
            Err(_) => MaybeReady::pending(async move {
                let lost = |_| Err(BackendError::unavailable("the task of the store ended").into());
                received.await.unwrap_or_else(lost)
            }),
        }
    }

    /// Starts the changes that wait, until one has to wait for the backend.
    fn start_waiting(this: &Shared<Self>) {
        loop {
            let mut guard = this.account.state.lock();
            let state = guard.get_or_insert_default();
            if state.changing_to.is_some() {
                return;
            }
            let Some(Waiting { change, replies }) = state.waiting.pop_front() else { return };
            // A caller may not wait for the result.
            let tell = move |result: Result<Settlement, AdjustError>| {
                replies.into_iter().for_each(|reply| _ = reply.send(result.clone()));
            };
            let (adjustments, actual) = this.begin(state, change);
            if adjustments.is_empty() {
                this.count(change, Ok(()));
                tell(Ok(Settlement::Done));
                continue;
            }
            state.changing_to = Some(actual);
            drop(guard);
            let limit = Shared::clone(this);
            let done = Box::new(move |result| {
                tell(limit.end(limit.account.state.lock().get_or_insert_default(), change, result));
                Self::start_waiting(&limit);
            });
            return this.settle(&adjustments, done);
        }
    }

    /// Has the place where the charge was made settle it.
    fn settle(&self, adjustments: &[Adjustment<'_>], done: Done) {
        let limit = self.definition.limit(self.is_full);
        match (&self.by, self.store()) {
            (DecidedBy::Connection(states, place), _) => states.settle(*place, limit, adjustments, done),
            (_, Some(store)) => store.settle_later(limit, adjustments, done),
            (_, None) => done(Err(BackendError::not_run("the throttle has no backend").into())),
        }
    }

    /// Accepts a change, to be made after those that wait.
    fn accept(&self, state: &mut State, change: Change) -> Result<(), AdjustError> {
        if state.has_ended && change != Change::GiveBack {
            return Err(AdjustError::Settled);
        }
        if self.lease.is_some() && !matches!(change, Change::Settle(0) | Change::GiveBack) {
            return Err(SettleError::Indivisible { strategy: self.strategy().name() }.into());
        }
        state.has_ended |= !matches!(change, Change::More(_));
        Ok(())
    }

    /// Returns the adjustments that make a change, and the cost after them. There are none if there is nothing to change.
    fn begin(&self, state: &mut State, change: Change) -> (Adjustments<'_>, u64) {
        let Some(Outcome { granted, at, .. }) = self.outcome else { return (Adjustments::new(), 0) };
        if state.parts.is_empty() {
            state.parts.push(Part { cost: granted, at });
        }
        let charged = state.charged();
        let actual = match change {
            Change::Settle(actual) => actual,
            Change::More(cost) => charged.saturating_add(cost),
            Change::GiveBack => 0,
        };
        let actual = self.capped(actual, charged);
        let renewed_at = match self.lease.as_ref().map(|lease| lease.end()) {
            Some(None) => return (Adjustments::new(), 0),
            renewed_at => renewed_at.flatten(),
        };
        let adjustment = |Part { cost, at }: Part, actual| {
            Some(Charge::new(self.hit(cost)?, renewed_at.unwrap_or(at)).settle(actual))
        };
        let adjustments = if actual > charged {
            adjustment(Part { cost: charged, at }, actual).into_iter().collect()
        } else {
            state.shrinking(charged - actual).filter_map(|(part, actual)| adjustment(part, actual)).collect()
        };
        (adjustments, actual)
    }

    /// Returns what a cost takes of the share of a fallback: at most all of it.
    fn capped(&self, actual: u64, charged: u64) -> u64 {
        match &self.by {
            DecidedBy::Fallback(fallback) if fallback.has_share() => {
                actual.min(self.strategy().capacity(self.rate)).max(charged.min(actual))
            }
            _ => actual,
        }
    }

    fn end(&self, state: &mut State, change: Change, result: AdjustResult) -> Result<Settlement, AdjustError> {
        let changed_to = state.changing_to.take();
        self.count(change, result.as_ref().map(drop));
        match result {
            Ok(outcome) => {
                let actual = changed_to.unwrap_or(outcome.granted);
                if let Some(more) = actual.checked_sub(state.charged()).filter(|more| *more > 0) {
                    self.definition.instruments.overdrawn(self.definition.label(), more);
                }
                state.record(actual, outcome.at);
                self.account.set_latest(state, outcome.with_granted(actual));
                Ok(Settlement::Done)
            }
            Err(error) => {
                if error.may_have_run() {
                    // What may have been given back is not given back again.
                    let charged = state.charged();
                    let lower = changed_to.map_or(charged, |actual| actual.min(charged));
                    state.record(lower, self.decided_at().unwrap_or(Timestamp::UNIX_EPOCH));
                } else if matches!(change, Change::Settle(_)) && self.lease.is_none() && state.waiting.is_empty() {
                    state.has_ended = false;
                }
                Err(error)
            }
        }
    }

    /// Counts a change for metrics.
    fn count(&self, change: Change, result: Result<(), &AdjustError>) {
        let kind = match change {
            Change::Settle(0) | Change::GiveBack => ChangeKind::Refund,
            Change::Settle(_) => ChangeKind::Settle,
            Change::More(_) => ChangeKind::ChargeMore,
        };
        let result = match result {
            Ok(()) => ChangeResult::Done,
            Err(AdjustError::Settled) => ChangeResult::Ended,
            Err(AdjustError::Strategy(_)) => ChangeResult::Impossible,
            Err(AdjustError::QueueFull) => ChangeResult::QueueFull,
            Err(error @ AdjustError::Backend(_)) if error.may_have_run() => ChangeResult::InDoubt,
            Err(AdjustError::Backend(_)) => ChangeResult::NotRun,
        };
        self.definition.instruments.changed(self.definition.label(), kind, result);
    }

    /// Leaves the charge to a body: the head of the response does not refund it.
    pub(crate) fn leave_to_body(&self) {
        self.account.state.lock().get_or_insert_default().is_left_to_body = true;
    }

    pub(crate) fn is_left_to_body(&self) -> bool {
        self.account.state.lock().as_ref().is_some_and(|state| state.is_left_to_body)
    }

    /// Shows the limit as it is after a refund that is under way, as far as this process knows.
    pub(crate) fn show_as_refunded(&self) {
        let Some(Outcome { past, granted, at, .. }) = self.outcome.clone() else { return };
        let mut guard = self.account.state.lock();
        let state = guard.get_or_insert_default();
        // Otherwise the result has come.
        if state.changing_to.is_none() && self.lease.is_none() {
            return;
        }
        let refund =
            |past: StoredState| StoredState { rate: past.rate, state: self.strategy().refund(past, granted, at, at) };
        let refunded = Outcome::new(true, 0, at).with_past(past.map(refund));
        self.account.set_latest(state, refunded);
    }
}

/// Receives the result of a change. If it is dropped before, the result is unknown.
struct Receiver<'a> {
    limit: &'a Shared<Limit>,
    change: Change,
    is_received: bool,
}

impl Receiver<'_> {
    fn receive(mut self, result: AdjustResult) -> Result<Settlement, AdjustError> {
        self.is_received = true;
        self.end(result)
    }

    fn end(&self, result: AdjustResult) -> Result<Settlement, AdjustError> {
        let ended = self.limit.end(self.limit.account.state.lock().get_or_insert_default(), self.change, result);
        Limit::start_waiting(self.limit);
        ended
    }
}

impl Drop for Receiver<'_> {
    fn drop(&mut self) {
        if !self.is_received {
            let unknown = BackendError::unavailable("the answer was dropped before it came");
            let _ = self.end(Err(unknown.into()));
        }
    }
}
