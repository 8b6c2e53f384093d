//! The limits of one connection. Their states are stored here, not in a backend.

use std::{
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::Notify;
use traffik_core::{
    backend::BackendError,
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Decision, LimitId, Outcome},
    strategy::{StoredState, Strategy},
};

use super::checks::MessageChecks;
use crate::{
    engine::{Check, CheckResult, Checks, Limits, decide},
    observe::Took,
    on_error::{Decided, DecidedBy},
    one_or_more::OneOrMore,
    store::{AdjustError, AdjustResult, Done, Pending, Settlement, Settles},
};

/// The state of each limit, in the order of the checks.
type States = SmallVec<[Option<StoredState>; 1]>;

/// The checks of one or more handshake arguments.
pub(super) type AllChecks = OneOrMore<Arc<MessageChecks>>;

pub(super) struct ConnectionLimits {
    pub(super) checks: AllChecks,
    clock: AnyClock,
    stored: Mutex<Stored>,
    returned: Notify,
    pending: Arc<Pending>,
}

struct Stored {
    /// `None` during a decision.
    states: Option<States>,
    /// The charges to settle after the decision, and the place of the limit of each.
    later: Vec<(usize, Settlement)>,
}

impl ConnectionLimits {
    pub(super) fn new(checks: AllChecks, clock: &AnyClock) -> Arc<Self> {
        let stored = Mutex::new(Stored { states: Some(States::new()), later: Vec::new() });
        Arc::new(Self { checks, clock: clock.clone(), stored, returned: Notify::new(), pending: Arc::default() })
    }

    /// Takes the states, once no other decision has them.
    ///
    /// A waiting message never receives the states from another message, because its future may not be polled again.
    pub(super) async fn lock(self: &Arc<Self>) -> StatesGuard {
        loop {
            let returned = self.returned.notified();
            let states = self.stored.lock().states.take();
            if let Some(states) = states {
                return StatesGuard { states, limits: Arc::clone(self) };
            }
            returned.await;
        }
    }
}

impl Settles for ConnectionLimits {
    fn settle(&self, place: usize, limit: &Arc<LimitId>, adjustments: &[Adjustment<'_>], done: Done) {
        let settlement = match self.pending.settlement_of(limit, adjustments, done) {
            Ok(settlement) => settlement,
            Err(done) => return done.into_iter().for_each(|done| done(Err(AdjustError::QueueFull))),
        };
        let mut stored = self.stored.lock();
        let Some(states) = &mut stored.states else { return stored.later.push((place, settlement)) };
        let result = settle(states.get_mut(place), &settlement, self.clock.now());
        drop(stored);
        settlement.finish(result);
    }
}

impl fmt::Debug for ConnectionLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionLimits").finish_non_exhaustive()
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
        mut checks: Checks<'_>,
        client: Option<Checks<'_>>,
    ) -> CheckResult {
        self.states.resize(checks.iter().count(), None);
        let verdicts = checks.iter().zip(&mut self.states).map(|(check, state)| verdict(check, state, now));
        let (fits, charged): (SmallVec<[bool; 2]>, States) = verdicts.unzip();
        let decision = |states: &States| -> Decision {
            let limits = checks.iter().zip(states).zip(&fits);
            limits.filter_map(|((check, state), fits)| outcome(check, state.as_ref(), *fits, now)).collect()
        };
        let mut decided = None;
        let mut client_limits = None;
        if checks.iter().zip(&fits).all(|(check, fits)| *fits || !check.enforced) {
            // Computed before anything is charged, because a custom strategy may panic.
            let charged_decision = decision(&charged);
            if let Some(mut client) = client {
                client_limits = Some(decide(&mut client).await.map_err(|failed| failed.and_about(&checks))?);
            }
            if client_limits.as_ref().is_none_or(Limits::is_admitted) {
                self.states = charged;
                decided = Some(charged_decision);
            }
        }
        let decision = decided.unwrap_or_else(|| decision(&self.states));
        let by = DecidedBy::Connection(Arc::<ConnectionLimits>::clone(&self.limits), 0);
        let limits = Limits::new(&mut checks, &mut Decided { decision, by }, Took::default());
        Ok(match client_limits {
            Some(client_limits) => client_limits.with(&limits),
            None => limits,
        })
    }
}

impl Drop for StatesGuard {
    fn drop(&mut self) {
        let (limits, now) = (&self.limits, self.limits.clock.now());
        let mut stored = limits.stored.lock();
        let later = mem::take(&mut stored.later);
        let settle = |(place, settlement): (usize, Settlement)| {
            (settle(self.states.get_mut(place), &settlement, now), settlement)
        };
        let settled: Vec<_> = later.into_iter().map(settle).collect();
        stored.states = Some(mem::take(&mut self.states));
        drop(stored);
        limits.returned.notify_waiters();
        settled.into_iter().for_each(|(result, settlement)| settlement.finish(result));
    }
}

/// Settles a charge to a limit. An error, or a panic of a custom strategy, changes nothing.
fn settle(state: Option<&mut Option<StoredState>>, settlement: &Settlement, now: Timestamp) -> AdjustResult {
    let Some(state) = state else { return Err(BackendError::not_run("the connection has no such limit").into()) };
    let (mut past, mut last) = (state.clone(), Outcome::new(true, 0, now));
    for Adjustment { charge: Charge { hit, at, .. }, actual, .. } in settlement.adjustments() {
        let strategy = hit.limit.strategy();
        let settle = || {
            let settled = strategy.settle(past.clone(), hit.rate, hit.cost, actual, at, now)?.past;
            let shown = settled.as_ref().filter(|past| past.is_alive(now));
            let shown = shown.map(|past| strategy.summary(past, hit.rate, actual, now));
            Ok::<_, AdjustError>((settled, Outcome::new(true, actual, now).with_past(shown)))
        };
        let settled = catch_unwind(AssertUnwindSafe(settle));
        (past, last) = settled.map_err(|_| AdjustError::from(BackendError::not_run("the strategy panicked")))??;
    }
    *state = past;
    Ok(last)
}

/// Returns whether a limit has room, and its state after the charge. Removes an expired `state`. What is not counted, as at an
/// unlimited rate, changes nothing.
fn verdict(check: &Check<'_>, state: &mut Option<StoredState>, now: Timestamp) -> (bool, Option<StoredState>) {
    let strategy = check.strategy();
    // If a custom strategy panics, the state stays.
    let stored = if strategy.is_custom() { state.clone() } else { state.take() };
    *state = strategy.current(stored, now).past;
    if !check.is_counted() {
        return (true, state.clone());
    }
    let verdict = strategy.decide(state.clone(), check.rate, check.cost, now);
    (verdict.admitted, verdict.past)
}

fn outcome(check: &Check<'_>, state: Option<&StoredState>, admitted: bool, now: Timestamp) -> Option<Outcome> {
    let past = || state.map(|past| check.strategy().summary(past, check.rate, check.cost, now));
    check.is_counted().then(|| {
        let mut outcome = Outcome::new(admitted, check.cost, now).with_past(past());
        outcome.enforced = check.enforced;
        outcome
    })
}
