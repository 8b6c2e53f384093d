//! The limits of one connection. Their states are stored here, not in a backend.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use smallvec::SmallVec;
use tokio::sync::Notify;
use traffik_core::{
    clock::Timestamp,
    decision::{Decision, Outcome},
    strategy::{StoredState, Strategy},
};

use super::checks::MessageChecks;
use crate::{
    engine::{Check, Checks, Error, Limits, decide},
    on_error::{Decided, DecidedBy},
    one_or_more::OneOrMore,
};

/// The state of each limit, in the order of the checks.
type States = SmallVec<[Option<StoredState>; 1]>;

/// The checks of one or more handshake arguments.
pub(super) type AllChecks = OneOrMore<Arc<MessageChecks>>;

pub(super) struct ConnectionLimits {
    pub(super) checks: AllChecks,
    /// `None` during a decision.
    states: Mutex<Option<States>>,
    returned: Notify,
}

impl ConnectionLimits {
    pub(super) fn new(checks: AllChecks) -> Arc<Self> {
        Arc::new(Self { checks, states: Mutex::new(Some(States::new())), returned: Notify::new() })
    }

    /// Takes the states, once no other decision has them.
    ///
    /// A waiting message never receives the states from another message, because its future may not be polled again.
    pub(super) async fn lock(self: &Arc<Self>) -> StatesGuard {
        loop {
            let returned = self.returned.notified();
            let states = self.states().take();
            if let Some(states) = states {
                return StatesGuard { states, limits: Arc::clone(self) };
            }
            returned.await;
        }
    }

    fn states(&self) -> MutexGuard<'_, Option<States>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The states of a connection's limits during a decision. Returns them when it is dropped.
pub(super) struct StatesGuard {
    states: States,
    limits: Arc<ConnectionLimits>,
}

impl StatesGuard {
    /// Charges a message to all limits of the connection and of the client, or to none. The client's limits are checked
    /// only if those of the connection have room.
    ///
    /// Only the client's limits need waiting. If there are any, a task must run this.
    pub(super) async fn decide(
        mut self,
        now: Timestamp,
        checks: Checks<'_>,
        client: Option<Checks<'_>>,
    ) -> Result<Limits, Error> {
        self.states.resize(checks.iter().count(), None);
        let verdicts = checks.iter().zip(&mut self.states).map(|(check, state)| verdict(check, state, now));
        let (fits, charged): (SmallVec<[bool; 2]>, States) = verdicts.unzip();
        let decision = |states: &States| -> Decision {
            let limits = checks.iter().zip(states).zip(&fits);
            limits.filter_map(|((check, state), fits)| outcome(check, state.as_ref(), *fits, now)).collect()
        };
        let mut decided = None;
        let mut client_limits = None;
        if fits.iter().all(|fits| *fits) {
            // Computed before anything is charged, because a custom strategy may panic.
            let charged_decision = decision(&charged);
            if let Some(client) = client {
                client_limits = Some(decide(client).await?);
            }
            if client_limits.as_ref().is_none_or(Limits::is_admitted) {
                self.states = charged;
                decided = Some(charged_decision);
            }
        }
        let decision = decided.unwrap_or_else(|| decision(&self.states));
        let limits = Limits::new(checks, Decided { decision, by: DecidedBy::Connection });
        Ok(match client_limits {
            Some(client_limits) => client_limits.with(&limits),
            None => limits,
        })
    }
}

impl Drop for StatesGuard {
    fn drop(&mut self) {
        *self.limits.states() = Some(mem::take(&mut self.states));
        self.limits.returned.notify_waiters();
    }
}

/// Returns whether a limit has room, and its state after the charge. Removes an expired `state`.
fn verdict(check: &Check<'_>, state: &mut Option<StoredState>, now: Timestamp) -> (bool, Option<StoredState>) {
    let strategy = check.strategy();
    // If a custom strategy panics, the state stays.
    let stored = if strategy.is_custom() { state.clone() } else { state.take() };
    *state = strategy.current(stored, now).past;
    let cost = if check.is_counted() { check.cost } else { 0 };
    let verdict = strategy.decide(state.clone(), check.rate, cost, now);
    (verdict.admitted, verdict.past)
}

fn outcome(check: &Check<'_>, state: Option<&StoredState>, admitted: bool, now: Timestamp) -> Option<Outcome> {
    let past = || state.map(|past| check.strategy().summary(past, check.rate, check.cost, now));
    check.is_counted().then(|| Outcome::new(admitted, check.cost, now).with_past(past()))
}
