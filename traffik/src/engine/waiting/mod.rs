//! Waiting for a turn: one line of waiters for each throttle, or tuple of throttles, and client of a process.
//!
//! A caller that finds no room [joins](Lines) the [`Line`] of its throttles and its client. The line asks the store
//! for its head alone, when the head may have room, and hands the decision over. Tasks do that, one on each runtime that has
//! waiters of the line, so a waiter that is not polled, or whose runtime ends or stands still, delays no other.
//!
//! - A decision is handed over by the channel of its waiter. A permit that is not received is given back.
//! - The head is asked for again as soon as this process gives back a charge of its client.
//! - Nothing here runs for a check that does not wait.

mod demand;
mod line;
mod lines;

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::runtime::{Handle, Id};
use tracing::Instrument;
use traffik_core::backend::{BackendError, MaybeReady};

pub(crate) use self::{
    demand::{Demand, HeldBack},
    lines::Lines,
};
use self::{
    demand::{Handover, LineKey, Room, Turn, until_room},
    line::{Line, Question, Step},
    lines::{Joined, NotJoined, Place},
};
use super::{CheckResult, Failed, in_a_task};
use crate::store::{Store, first_of};

/// The decision of a waiter, unless its line is held back for longer than it waits.
pub(crate) type Waited = Result<CheckResult, HeldBack>;

impl Lines {
    /// Starts to wait for an admission. The caller joins the line in this call, and awaiting only receives the decision.
    pub(crate) fn wait(self: &Arc<Self>, demand: Demand, max: Duration) -> MaybeReady<'static, CheckResult> {
        let demand = Arc::new(demand);
        let waiting = start(self, Arc::clone(&demand), false, max);
        // Only the lines of outgoing calls are held back.
        let decision = move |waited: Waited| {
            waited.unwrap_or_else(|_| Err(demand.failed(BackendError::not_run("the line is held back"))))
        };
        match waiting {
            MaybeReady::Ready(waited) => MaybeReady::Ready(decision(waited)),
            MaybeReady::Pending(waiting) => MaybeReady::pending(async move { decision(waiting.await) }),
        }
    }

    /// Starts to wait for the turn of an outgoing call. Its line can be [held back](Self::hold_back_for).
    pub(crate) fn wait_outgoing(self: &Arc<Self>, demand: Demand, max: Duration) -> MaybeReady<'static, Waited> {
        start(self, Arc::new(demand), true, max)
    }

    /// Holds a line of outgoing calls back for a time.
    pub(crate) fn hold_back_for(&self, demand: &Demand, time: Duration) {
        let Ok(Some(store)) = demand.store() else { return };
        let now = store.clock().now();
        self.hold_back(LineKey::new(demand, true), now.saturating_add(time), now);
    }
}

fn start(lines: &Arc<Lines>, demand: Arc<Demand>, is_outgoing: bool, max: Duration) -> MaybeReady<'static, Waited> {
    let lines = Arc::clone(lines);
    let Ok(Some(store)) = demand.store() else { return ask(demand).map(Ok) };
    let now = store.clock().now();
    let deadline = now.saturating_add(max);
    let place = Place { key: LineKey::new(&demand, is_outgoing), deadline, given_back: store.given_back() };
    let joining = Joining { place, demand, lines, store };
    // A store that does not wait is asked here, unless others are in the line. Without a runtime there is no line.
    let is_asked_here = joining.store.is_immediate() || Handle::try_current().is_err();
    if !is_asked_here || joining.lines.has(&joining.place.key, now) {
        return joining.join(None);
    }
    match ask(Arc::clone(&joining.demand)) {
        MaybeReady::Ready(decision) => joining.join_if_refused(decision),
        MaybeReady::Pending(first) => MaybeReady::pending(async move { joining.join_if_refused(first.await).await }),
    }
}

/// Asks the store. If it waits, a task receives the answer, and gives back the charge of a caller that is gone. Without a Tokio
/// runtime there is no task.
fn ask(demand: Arc<Demand>) -> MaybeReady<'static, CheckResult> {
    let mut decision = demand.ask();
    if let Poll::Ready(decision) = decision.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return MaybeReady::Ready(decision);
    }
    let task = in_a_task(async move { Ok(Handover::new(decision.await)) });
    MaybeReady::pending(async move {
        let handover = task.await.map_err(|failed: Box<Failed>| failed.about(demand.kept().cloned()))?;
        handover.receive()
    })
}

/// A caller on its way into a line.
struct Joining {
    lines: Arc<Lines>,
    place: Place,
    demand: Arc<Demand>,
    store: Arc<Store>,
}

impl Joining {
    /// Joins the line of a caller that was refused, if there may be room in time.
    fn join_if_refused(self, decision: CheckResult) -> MaybeReady<'static, Waited> {
        let Ok(limits) = &decision else { return MaybeReady::Ready(Ok(decision)) };
        if limits.is_admitted() {
            return MaybeReady::Ready(Ok(decision));
        }
        let now = self.store.clock().now();
        match until_room(limits).filter(|room| now.saturating_add(room.not_before) <= self.place.deadline) {
            Some(room) => self.join(Some(room)),
            None => MaybeReady::Ready(Ok(decision)),
        }
    }

    /// Joins the line. If it was empty, the head is asked for when there is `room`, or immediately.
    fn join(self, room: Option<Room>) -> MaybeReady<'static, Waited> {
        let Self { lines, place, demand, store } = self;
        if Handle::try_current().is_err() {
            let error = BackendError::not_run("waiting needs a Tokio runtime: call it within one");
            return MaybeReady::Ready(Ok(Err(demand.failed(error))));
        }
        match lines.join(place, &demand, &store, room) {
            Ok(joined) => {
                Driver::start(&lines, &joined.line);
                let waiter = Waiter { lines, joined };
                MaybeReady::pending(async move {
                    match waiter.await {
                        Turn::Decided(decision) => Ok(decision.receive()),
                        Turn::TooLate => Ok(demand.refuse().await),
                        Turn::Over => Ok(ask(demand).await),
                        Turn::HeldBack(held_back) => Err(held_back),
                        Turn::Panicked(panic) => resume_unwind(panic),
                    }
                })
            }
            Err(NotJoined::NoRoom) => MaybeReady::pending(async move { Ok(demand.refuse().await) }),
            Err(NotJoined::NoSlot) => ask(demand).map(Ok),
            Err(NotJoined::HeldBack(held_back)) => MaybeReady::Ready(Err(held_back)),
            Err(NotJoined::Failed(error)) => MaybeReady::Ready(Ok(Err(demand.failed(error)))),
        }
    }
}

/// A caller in a line. Dropping it leaves the line.
struct Waiter {
    lines: Arc<Lines>,
    joined: Joined,
}

impl Future for Waiter {
    type Output = Turn;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Turn> {
        let polled = Pin::new(&mut self.joined.turn).poll(cx);
        if polled.is_pending() {
            // The runtime on which it waits now may not be the one on which it joined.
            Driver::start(&self.lines, &self.joined.line);
        }
        // The line drops no waiter without a result.
        polled.map(|turn| turn.unwrap_or(Turn::Over))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let Joined { line, place, .. } = &self.joined;
        if line.leave(*place) {
            self.lines.remove_if_empty(line);
        }
    }
}

/// Drives a line on one runtime, as long as it has waiters. Each runtime that has waiters drives it.
///
/// It sleeps without a timer of the runtime.
struct Driver {
    lines: Arc<Lines>,
    line: Arc<Line>,
    runtime: Id,
}

impl Driver {
    /// Drives a line on the runtime of the caller, too, if it has one.
    fn start(lines: &Arc<Lines>, line: &Arc<Line>) {
        let Ok(handle) = Handle::try_current() else { return };
        let runtime = handle.id();
        if line.add_driver(runtime) {
            let driver = Self { lines: Arc::clone(lines), line: Arc::clone(line), runtime };
            // A runtime that ends drops it here.
            drop(handle.spawn(driver.run()));
        }
    }

    async fn run(self) {
        let clock = self.line.clock().clone();
        loop {
            let mut changed = pin!(self.line.changed());
            changed.as_mut().enable();
            match self.line.next(clock.now()) {
                Step::Ask(question) => self.ask(question).await,
                Step::Sleep(time) => {
                    first_of(changed, clock.sleep_on_any_runtime(time)).await;
                }
                Step::End if self.lines.remove_if_empty(&self.line) => return,
                Step::End => {}
            }
        }
    }

    async fn ask(&self, Question { id, demand, span }: Question) {
        let question = InFlight { line: &self.line, id };
        let mut decision = pin!(demand.ask().instrument(span));
        // A function of the user may panic: its waiter learns of it, and the others go on.
        let asked = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| decision.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        });
        let asked = asked.await;
        question.line.answered(id, asked, question.line.clock().now());
    }
}

/// The runtime ends, or the line has.
impl Drop for Driver {
    fn drop(&mut self) {
        self.line.remove_driver(self.runtime);
    }
}

/// A question that was asked. If it is dropped with its runtime, another one is asked.
struct InFlight<'a> {
    line: &'a Line,
    id: u64,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.line.abandon(self.id);
    }
}
