//! The waiters of one client. It asks no store, and reads no clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::{
    runtime::Id,
    sync::{futures::Notified, oneshot},
};
use tracing::Span;
use traffik_core::clock::{AnyClock, Timestamp};

use super::demand::{Demand, Handover, HeldBack, LineKey, Room, Turn, until_room};
use crate::{
    engine::{CheckResult, KeptCheck, Limits},
    limit::WaiterSlot,
    on_error::chance,
    store::{Signal, Store, Watch},
};

/// The part of a wait that is added at random at most, so that the processes that wait for one client do not ask together.
const JITTER: u32 = 10;

pub(super) struct Line {
    key: LineKey,
    store: Arc<Store>,
    signal: Arc<Signal>,
    state: Mutex<State>,
    /// Wake it when a charge of its client is given back.
    _watches: SmallVec<[Watch; 1]>,
}

struct State {
    /// By the order in which they joined.
    queue: BTreeMap<u64, Entry>,
    deadlines: BTreeSet<(Timestamp, u64)>,
    last_place: u64,
    /// When the store is asked for the head.
    ask_at: Timestamp,
    /// There is no room for the head before, as far as is known.
    not_before: Timestamp,
    held_back_until: Timestamp,
    in_flight: Option<InFlight>,
    last_question: u64,
    /// The runtimes on which it is driven.
    drivers: SmallVec<[Id; 1]>,
    has_ended: bool,
}

/// A waiter.
pub(super) struct Entry {
    pub(super) demand: Arc<Demand>,
    pub(super) deadline: Timestamp,
    pub(super) sender: oneshot::Sender<Turn>,
    pub(super) span: Span,
    pub(super) _slots: SmallVec<[WaiterSlot; 1]>,
}

struct InFlight {
    id: u64,
    place: u64,
    /// When another driver asks again, because the runtime of this one stands still.
    until: Timestamp,
}

/// What a driver does next.
pub(super) enum Step {
    Ask(Question),
    Sleep(Duration),
    End,
}

pub(super) struct Question {
    pub(super) id: u64,
    pub(super) demand: Arc<Demand>,
    pub(super) span: Span,
}

/// The answer to a question, or the panic of a function of the user.
type Answer = thread::Result<CheckResult>;

/// The results for waiters. They are sent without the lock, because code of the user may run then.
type Results = Vec<(Entry, Turn)>;

impl Line {
    pub(super) fn new(key: LineKey, demand: &Demand, store: &Arc<Store>) -> Arc<Self> {
        let signal = Arc::<Signal>::default();
        let watch = |check: &KeptCheck| Some(store.watch(&check.definition.limit, check.client.key()?, &signal));
        let watches = demand.kept().filter_map(watch).collect();
        Arc::new(Self { key, store: Arc::clone(store), state: Mutex::new(State::new()), _watches: watches, signal })
    }

    pub(super) fn key(&self) -> &LineKey {
        &self.key
    }

    pub(super) fn clock(&self) -> &AnyClock {
        self.store.clock()
    }

    /// Waits until something changes.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.signal.changed()
    }

    /// Sets when the first waiter is asked for.
    pub(super) fn begin(&self, now: Timestamp, room: Option<Room>, held_back_until: Option<Timestamp>) {
        let mut state = self.state.lock();
        if let Some(room) = room {
            state.not_before = now.saturating_add(room.not_before);
            state.ask_at = now.saturating_add(room.ask_in);
        }
        state.held_back_until = held_back_until.unwrap_or(Timestamp::UNIX_EPOCH);
    }

    /// Adds a waiter. Returns its place, or `None` if its turn would come too late.
    pub(super) fn join(&self, entry: Entry) -> Option<u64> {
        let mut state = self.state.lock();
        // After a charge was given back, there may be room earlier than is known.
        if !state.queue.is_empty() && entry.deadline < state.not_before && !self.signal.is_freed() {
            return None;
        }
        state.last_place += 1;
        let place = state.last_place;
        state.deadlines.insert((entry.deadline, place));
        state.queue.insert(place, entry);
        drop(state);
        self.signal.wake();
        Some(place)
    }

    /// Removes a waiter that has gone. Returns `true` if none is left.
    pub(super) fn leave(&self, place: u64) -> bool {
        let mut state = self.state.lock();
        let is_head = state.head() == Some(place);
        let gone = state.take(place);
        let is_empty = state.queue.is_empty();
        if gone.is_some() && is_head {
            state.ask_now();
        }
        drop(state);
        if gone.is_some() {
            self.signal.wake();
        }
        is_empty
    }

    /// Returns `true` if the caller has to drive it on its runtime.
    pub(super) fn add_driver(&self, runtime: Id) -> bool {
        let mut state = self.state.lock();
        let is_new = !state.has_ended && !state.drivers.contains(&runtime);
        if is_new {
            state.drivers.push(runtime);
        }
        is_new
    }

    pub(super) fn remove_driver(&self, runtime: Id) {
        self.state.lock().drivers.retain(|other| *other != runtime);
    }

    /// Ends it if no waiter is left.
    pub(super) fn end_if_empty(&self) -> bool {
        let mut state = self.state.lock();
        state.has_ended |= state.queue.is_empty();
        state.has_ended
    }

    pub(super) fn next(&self, now: Timestamp) -> Step {
        let mut state = self.state.lock();
        let Some(head) = state.head() else { return Step::End };
        if let Some(InFlight { until, .. }) = &state.in_flight {
            if now < *until {
                return Step::Sleep(until.saturating_since(now));
            }
            state.in_flight = None;
        }
        // What is given back during a question counts after it.
        if self.signal.take_freed() {
            state.ask_now();
        }
        let first_deadline = state.deadlines.first().map_or(state.ask_at, |(deadline, _)| *deadline);
        let due = state.ask_at.min(first_deadline).max(state.held_back_until);
        if now < due {
            return Step::Sleep(due.saturating_since(now));
        }
        state.last_question += 1;
        let id = state.last_question;
        // The policy of the throttle ends the question before.
        let until = now
            .saturating_add(self.store.timeout().saturating_mul(2))
            .max(now.saturating_add(Duration::from_micros(1)));
        state.in_flight = Some(InFlight { id, place: head, until });
        match state.queue.get(&head) {
            Some(entry) => Step::Ask(Question { id, demand: Arc::clone(&entry.demand), span: entry.span.clone() }),
            None => Step::End,
        }
    }

    /// Receives the answer to a question, and hands it over.
    pub(super) fn answered(&self, id: u64, answer: Answer, now: Timestamp) {
        // Without the lock, because a custom strategy may take its time, or panic.
        let room = match &answer {
            Ok(Ok(limits)) if !limits.is_admitted() => catch_unwind(AssertUnwindSafe(|| until_room(limits))),
            _ => Ok(None),
        };
        let mut state = self.state.lock();
        let place = match &state.in_flight {
            Some(in_flight) if in_flight.id == id => in_flight.place,
            _ => {
                // Another driver has asked again. What was charged is given back.
                drop(state);
                return drop(turn(answer));
            }
        };
        state.in_flight = None;
        // Whatever the answer, the next head is asked for immediately, unless this one stays.
        state.ask_now();
        let mut results = Results::new();
        let mut unreceived = None;
        match answer {
            Ok(Ok(limits)) if !limits.is_admitted() => {
                self.refused(&mut state, place, (&limits, room), now, &mut results);
            }
            answer => {
                let head = state.take(place);
                if matches!(answer, Ok(Err(_))) {
                    state.take_while(|deadline| deadline <= now, |_| Turn::Over, &mut results);
                }
                match head {
                    Some(head) => results.push((head, turn(answer))),
                    None => unreceived = Some(turn(answer)),
                }
            }
        }
        drop(state);
        drop(unreceived);
        send(results);
    }

    /// The head does not fit. It stays if there may be room in time.
    fn refused(
        &self,
        state: &mut State,
        place: u64,
        (limits, room): (&Limits, thread::Result<Option<Room>>),
        now: Timestamp,
        results: &mut Results,
    ) {
        let Some(head) = state.queue.get(&place) else { return };
        let (demand, deadline) = (Arc::clone(&head.demand), head.deadline);
        let room = match room {
            Ok(room) => room,
            // The head learns of the panic of a custom strategy, and the others go on.
            Err(panic) => return results.extend(state.take(place).map(|head| (head, Turn::Panicked(panic)))),
        };
        let is_in_time = |deadline: Timestamp| {
            room.is_some_and(|room| now < deadline && now.saturating_add(room.not_before) <= deadline)
        };
        let stays = is_in_time(deadline);
        if let Some(room) = room.filter(|_| stays) {
            state.not_before = now.saturating_add(room.not_before);
            state.ask_at = now.saturating_add(self.with_jitter(room.ask_in)).min(deadline);
        }
        // What refuses the head refuses all that want the same. Others come after a head that stays, and are asked for once it
        // has gone.
        let is_like = |entry: &Entry| Arc::ptr_eq(&entry.demand, &demand) || entry.demand.is_like(&demand);
        let late = state.places_while(|deadline| !is_in_time(deadline));
        for entry in late.into_iter().filter_map(|place| state.take_if(place, |entry| stays || is_like(entry))) {
            let same = is_like(&entry).then(|| Turn::Decided(Handover::new(Ok(limits.snapshot()))));
            results.push((entry, same.unwrap_or(Turn::TooLate)));
        }
    }

    /// In memory no other process waits.
    fn with_jitter(&self, wait: Duration) -> Duration {
        if self.store.is_immediate() { wait } else { wait.saturating_add((wait / JITTER).mul_f64(chance())) }
    }

    /// A question was dropped with its runtime.
    pub(super) fn abandon(&self, id: u64) {
        let mut state = self.state.lock();
        if state.in_flight.as_ref().is_some_and(|in_flight| in_flight.id == id) {
            state.in_flight = None;
            state.ask_now();
            drop(state);
            self.signal.wake();
        }
    }

    /// Asks for the head again, as soon as no question is under way.
    pub(super) fn ask_again(&self) {
        self.signal.free();
    }

    /// Asks nothing until then. Waiters whose time is over before receive that.
    pub(super) fn hold_back(&self, until: Timestamp, now: Timestamp) {
        let mut state = self.state.lock();
        let until = until.max(state.held_back_until);
        state.held_back_until = until;
        let mut results = Results::new();
        let held_back = |_: &Entry| Turn::HeldBack(HeldBack { until, now });
        state.take_while(|deadline| deadline < until, held_back, &mut results);
        drop(state);
        send(results);
        self.signal.wake();
    }

    /// Ends the wait of all waiters: the app is closed.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        state.has_ended = true;
        state.deadlines.clear();
        let all = std::mem::take(&mut state.queue).into_values();
        drop(state);
        let closed = |entry: Entry| {
            let turn = Turn::Decided(Handover::new(entry.demand.closed()));
            (entry, turn)
        };
        send(all.map(closed).collect());
        self.signal.wake();
    }
}

fn turn(answer: Answer) -> Turn {
    match answer {
        Ok(decision) => Turn::Decided(Handover::new(decision)),
        Err(panic) => Turn::Panicked(panic),
    }
}

/// Called without the lock. What a waiter that has gone does not receive is given back.
fn send(results: Results) {
    for (Entry { sender, .. }, turn) in results {
        let _ = sender.send(turn);
    }
}

impl State {
    fn new() -> Self {
        Self {
            queue: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            last_place: 0,
            ask_at: Timestamp::UNIX_EPOCH,
            not_before: Timestamp::UNIX_EPOCH,
            held_back_until: Timestamp::UNIX_EPOCH,
            in_flight: None,
            last_question: 0,
            drivers: SmallVec::new(),
            has_ended: false,
        }
    }

    fn head(&self) -> Option<u64> {
        self.queue.first_key_value().map(|(place, _)| *place)
    }

    fn ask_now(&mut self) {
        (self.ask_at, self.not_before) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    }

    fn take(&mut self, place: u64) -> Option<Entry> {
        let entry = self.queue.remove(&place)?;
        self.deadlines.remove(&(entry.deadline, place));
        Some(entry)
    }

    fn take_if(&mut self, place: u64, is_taken: impl FnOnce(&Entry) -> bool) -> Option<Entry> {
        if self.queue.get(&place).is_some_and(is_taken) { self.take(place) } else { None }
    }

    /// Returns the places of the waiters with such deadlines, the earliest first.
    fn places_while(&self, is_such: impl Fn(Timestamp) -> bool) -> Vec<u64> {
        self.deadlines.iter().take_while(|(deadline, _)| is_such(*deadline)).map(|(_, place)| *place).collect()
    }

    /// Takes the waiters with such deadlines, the earliest first. `turn` returns the result of each.
    fn take_while(
        &mut self,
        is_such: impl Fn(Timestamp) -> bool,
        turn: impl Fn(&Entry) -> Turn,
        results: &mut Results,
    ) {
        for place in self.places_while(is_such) {
            let entry = self.take(place);
            results.extend(entry.map(|entry| {
                let turn = turn(&entry);
                (entry, turn)
            }));
        }
    }
}
