use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::oneshot;
use tracing::Span;
use traffik_core::{backend::BackendError, clock::Timestamp};

use super::{
    demand::{Demand, HeldBack, LineKey, Room, Turn},
    line::{Entry, Line},
};
use crate::{engine::KeptCheck, limit::WaiterSlot, store::Store};

/// The number of lines that can be held back. Beyond it, the one that is held back for the shortest time goes on.
const MAX_HELD_BACK: usize = 10_000;

/// The lines of an app.
#[derive(Default)]
pub(crate) struct Lines(Mutex<State>);

#[derive(Default)]
struct State {
    /// The lines that have waiters.
    lines: HashMap<LineKey, Arc<Line>>,
    held_back: HashMap<LineKey, Timestamp>,
    is_closed: bool,
}

/// The place that a caller wants.
pub(super) struct Place {
    pub(super) key: LineKey,
    pub(super) deadline: Timestamp,
    /// The [number](Store::given_back) before the caller was refused.
    pub(super) given_back: u64,
}

/// A place in a line.
pub(super) struct Joined {
    pub(super) line: Arc<Line>,
    pub(super) place: u64,
    pub(super) turn: oneshot::Receiver<Turn>,
}

/// Why a caller does not wait.
pub(super) enum NotJoined {
    /// Too many wait, or the turn of the caller would come too late.
    NoRoom,
    /// Too many wait, but none in this line.
    NoSlot,
    HeldBack(HeldBack),
    Failed(BackendError),
}

impl Lines {
    /// Returns `true` if a caller has to join the line: others wait in it, or it is held back.
    pub(super) fn has(&self, key: &LineKey, now: Timestamp) -> bool {
        let state = self.0.lock();
        state.lines.contains_key(key) || state.held_back.get(key).is_some_and(|until| *until > now)
    }

    /// Joins a line. If it was empty, its head is asked for when there is `room`, or immediately.
    pub(super) fn join(
        &self,
        Place { key, deadline, given_back }: Place,
        demand: &Arc<Demand>,
        store: &Arc<Store>,
        room: Option<Room>,
    ) -> Result<Joined, NotJoined> {
        let now = store.clock().now();
        let slots = slots(demand, now);
        let mut state = self.0.lock();
        if state.is_closed {
            return Err(NotJoined::Failed(BackendError::Closed));
        }
        let held_back = state.held_back.get(&key).copied().filter(|until| *until > now);
        // Without a slot the caller would not wait.
        if let Some(until) = held_back.filter(|until| *until > deadline || slots.is_none()) {
            return Err(NotJoined::HeldBack(HeldBack { until, now }));
        }
        let is_new = !state.lines.contains_key(&key);
        let Some(slots) = slots else { return Err(if is_new { NotJoined::NoSlot } else { NotJoined::NoRoom }) };
        let line = Arc::clone(state.lines.entry(key.clone()).or_insert_with(|| Line::new(key, demand, store)));
        if is_new {
            line.begin(now, room, held_back);
            // It watches only from now on.
            if store.given_back() != given_back {
                line.ask_again();
            }
        }
        let (sender, turn) = oneshot::channel();
        let entry = Entry { demand: Arc::clone(demand), deadline, sender, span: Span::current(), _slots: slots };
        let Some(place) = line.join(entry) else { return Err(NotJoined::NoRoom) };
        Ok(Joined { line, place, turn })
    }

    /// Forgets a line without waiters. Returns `true` if it has ended.
    pub(super) fn remove_if_empty(&self, line: &Arc<Line>) -> bool {
        let mut state = self.0.lock();
        let has_ended = line.end_if_empty();
        if has_ended && state.lines.get(line.key()).is_some_and(|known| Arc::ptr_eq(known, line)) {
            state.lines.remove(line.key());
        }
        has_ended
    }

    /// Holds a line back: until then no waiter gets a turn.
    pub(super) fn hold_back(&self, key: LineKey, until: Timestamp, now: Timestamp) {
        let mut state = self.0.lock();
        if state.held_back.len() >= MAX_HELD_BACK && !state.held_back.contains_key(&key) {
            state.held_back.retain(|_, until| *until > now);
            if state.held_back.len() >= MAX_HELD_BACK {
                let soonest = state.held_back.iter().min_by_key(|(_, until)| **until).map(|(key, _)| key.clone());
                soonest.and_then(|key| state.held_back.remove(&key));
            }
        }
        let line = state.lines.get(&key).cloned();
        let held = state.held_back.entry(key).or_insert(until);
        *held = until.max(*held);
        let until = *held;
        drop(state);
        if let Some(line) = line {
            line.hold_back(until, now);
        }
    }

    /// Asks for the head of each line again, because a limit was changed.
    pub(crate) fn ask_again(&self) {
        let lines: Vec<_> = self.0.lock().lines.values().cloned().collect();
        lines.iter().for_each(|line| line.ask_again());
    }

    /// Tells all waiters that the app is closed, and those that come later.
    pub(crate) fn close(&self) {
        let mut state = self.0.lock();
        state.is_closed = true;
        let lines = std::mem::take(&mut state.lines);
        drop(state);
        lines.into_values().for_each(|line| line.close());
    }
}

/// Takes a slot of each throttle, or none.
fn slots(demand: &Demand, now: Timestamp) -> Option<SmallVec<[WaiterSlot; 1]>> {
    let slot = |check: &KeptCheck| {
        let (definition, slot) = (&check.definition, WaiterSlot::reserve(&check.definition.waiters));
        if slot.is_none() && definition.waiters.full.is_due(now) {
            tracing::warn!(
                uid = &*definition.uid,
                max_waiters = definition.waiters.max(),
                "too many callers wait for this throttle: others are refused without waiting"
            );
        }
        slot
    };
    demand.kept().filter(|check| check.enforced).map(slot).collect()
}
