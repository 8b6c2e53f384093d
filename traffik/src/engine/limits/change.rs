//! Changes a charge after its decision.

use smallvec::SmallVec;
use tokio::sync::oneshot;
use traffik_core::{
    backend::{BackendError, MaybeReady},
    decision::{Adjustment, Charge, Outcome},
    strategy::{SettleError, StoredState, Strategy},
};
use triomphe::Arc as Shared;

use super::{
    Limit,
    account::{Adjusting, Change, Part, Settlement, State},
};
use crate::store::{AdjustError, AdjustResult};

/// The number of changes of one charge that may wait.
const MAX_WAITING: usize = 16;

type Adjustments<'a> = SmallVec<[Adjustment<'a>; 1]>;

impl Limit {
    /// Starts a change of the charge.
    pub(crate) fn change(this: &Shared<Self>, change: Change) -> Adjusting<'_> {
        if !this.is_counted() {
            return MaybeReady::Ready(Ok(Settlement::NotCounted));
        }
        let Some(store) = this.store() else { return MaybeReady::Ready(Err(AdjustError::PerConnection)) };
        let mut guard = this.account.lock();
        let state = guard.get_or_insert_default();
        if state.changing_to.is_some() || !store.is_immediate() {
            drop(guard);
            return Self::change_later(this, change);
        }
        let (adjustments, actual) = match this.begin(state, change) {
            Ok((none, _)) if none.is_empty() => return MaybeReady::Ready(Ok(Settlement::Done)),
            Ok(begun) => begun,
            Err(error) => return MaybeReady::Ready(Err(error)),
        };
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

    /// Has the task of the store make a change.
    fn change_later(this: &Shared<Self>, change: Change) -> Adjusting<'_> {
        let mut guard = this.account.lock();
        let state = guard.get_or_insert_default();
        if state.waiting.len() >= MAX_WAITING {
            return MaybeReady::Ready(Err(AdjustError::QueueFull));
        }
        let (reply, received) = oneshot::channel();
        state.waiting.push_back((change, reply));
        drop(guard);
        Self::start_waiting(this);
        MaybeReady::pending(async move {
            let lost = |_| Err(BackendError::unavailable("the task of the store ended").into());
            received.await.unwrap_or_else(lost)
        })
    }

    /// Starts the changes that wait, until one has to wait for the backend.
    fn start_waiting(this: &Shared<Self>) {
        loop {
            let mut guard = this.account.lock();
            let state = guard.get_or_insert_default();
            if state.changing_to.is_some() {
                return;
            }
            let Some((change, reply)) = state.waiting.pop_front() else { return };
            let begun = this.begin(state, change);
            state.changing_to = begun.as_ref().ok().filter(|(all, _)| !all.is_empty()).map(|(_, actual)| *actual);
            drop(guard);
            let result = match (begun, this.store()) {
                (Ok((adjustments, _)), Some(store)) if !adjustments.is_empty() => {
                    let limit = Shared::clone(this);
                    let done = move |result| {
                        let ended = limit.end(limit.account.lock().get_or_insert_default(), change, result);
                        // The caller may not wait for the result.
                        let _ = reply.send(ended);
                        Self::start_waiting(&limit);
                    };
                    store.settle_later(this.definition.limit(this.is_full), &adjustments, Box::new(done));
                    return;
                }
                (Ok(_), _) => Ok(Settlement::Done),
                (Err(error), _) => Err(error),
            };
            let _ = reply.send(result);
        }
    }

    /// Returns the adjustments that make a change, and the cost after them. There are none if there is nothing to change.
    fn begin(&self, state: &mut State, change: Change) -> Result<(Adjustments<'_>, u64), AdjustError> {
        if state.has_ended && change != Change::GiveBack {
            return Err(AdjustError::Settled);
        }
        let Some(Outcome { granted, at, .. }) = self.outcome else { return Ok((Adjustments::new(), 0)) };
        if state.parts.is_empty() {
            state.parts.push(Part { cost: granted, at });
        }
        let charged = state.charged();
        let (actual, ends) = match change {
            Change::Settle(actual) => (actual, true),
            Change::More(cost) => (charged.saturating_add(cost), false),
            Change::GiveBack => (0, true),
        };
        if self.lease.is_some() && actual > 0 {
            return Err(SettleError::Indivisible { strategy: self.strategy().name() }.into());
        }
        state.has_ended |= ends;
        let renewed_at = match self.lease.as_ref().map(|lease| lease.end()) {
            Some(None) => return Ok((Adjustments::new(), 0)),
            renewed_at => renewed_at.flatten(),
        };
        let adjustment = |Part { cost, at }: Part, actual| {
            Some(Charge::new(self.hit(cost)?, renewed_at.unwrap_or(at)).settle(actual))
        };
        let adjustments: Adjustments<'_> = if actual > charged {
            adjustment(Part { cost: charged, at }, actual).into_iter().collect()
        } else {
            state.shrinking(charged - actual).filter_map(|(part, actual)| adjustment(part, actual)).collect()
        };
        Ok((adjustments, actual))
    }

    fn end(&self, state: &mut State, change: Change, result: AdjustResult) -> Result<Settlement, AdjustError> {
        let changed_to = state.changing_to.take();
        match result {
            Ok(outcome) => {
                let actual = changed_to.unwrap_or(outcome.granted);
                state.record(actual, outcome.at);
                self.account.set_latest(state, outcome.with_granted(actual));
                Ok(Settlement::Done)
            }
            Err(error) => {
                state.has_ended &= error.may_have_run() || !matches!(change, Change::Settle(_));
                Err(error)
            }
        }
    }

    /// Shows the limit as it is after a refund, as far as this process knows.
    pub(crate) fn show_as_refunded(&self) {
        let Some(Outcome { past, granted, at, .. }) = self.outcome.clone() else { return };
        let refund =
            |past: StoredState| StoredState { rate: past.rate, state: self.strategy().refund(past, granted, at, at) };
        let refunded = Outcome::new(true, 0, at).with_past(past.map(refund));
        self.account.set_latest(self.account.lock().get_or_insert_default(), refunded);
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
        let ended = self.limit.end(self.limit.account.lock().get_or_insert_default(), self.change, result);
        Limit::start_waiting(self.limit);
        ended
    }
}

impl Drop for Receiver<'_> {
    fn drop(&mut self) {
        if !self.is_received {
            let unknown = BackendError::unavailable("the answer was dropped before it came");
            let _ = self.limit.end(self.limit.account.lock().get_or_insert_default(), self.change, Err(unknown.into()));
            Limit::start_waiting(self.limit);
        }
    }
}
