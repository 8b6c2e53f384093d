//! Decisions on their way to one server: each is sent as soon as one of a few calls is free, together with all that wait then.
//!
//! While few are asked for, each is sent in a call of its own. While all calls are in flight, questions wait until one of them
//! is answered and go together in the next, so that each costs less the more there are.
//!
//! A call is made by a task, which also watches the deadlines of the questions that it has sent and of those that wait. Callers
//! only receive: one that is not polled holds nothing that others need.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::{runtime::Handle, sync::oneshot, time::Instant};

use super::{
    Count,
    caller::Caller,
    queue::{self, Answer, Pending, Queue},
};
use crate::{client::CallError, question::Question};

/// How many calls are in flight at most on each connection.
const MAX_IN_FLIGHT: usize = 2;

/// How many hits one call holds at most. Redis does nothing else meanwhile.
const MAX_HITS: usize = 64;

/// How many questions may wait. Redis would need longer for these than any deadline is.
const MAX_WAITING: usize = 65_536;

/// In a cluster a call goes to one slot, so that nothing is sent together, and one node must not hold up another. Each of
/// these buckets is a range of slots, which belongs to one node except where two nodes meet.
const CLUSTER_BUCKETS: usize = 1024;
const CLUSTER_MAX_IN_FLIGHT: usize = 16;

/// How much longer than a deadline the task of a slot may be silent, until another task takes the slot.
const LEEWAY: Duration = Duration::from_millis(250);

pub(super) struct Batcher {
    pub(super) caller: Arc<Caller>,
    max_in_flight: usize,
    max_hits: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Error)]
pub(super) enum NotSent {
    #[error("{MAX_WAITING} decisions wait already")]
    TooMany,
    #[error("no call was free within {0:?}")]
    Late(Duration),
    #[error("the runtime of the task that makes the call has ended")]
    RuntimeEnded,
}

impl Batcher {
    /// As many as do not get in each other's way.
    pub(super) fn all_of(caller: &Arc<Caller>) -> Box<[Arc<Self>]> {
        let (buckets, max_in_flight, max_hits) = if caller.client.is_cluster() {
            (CLUSTER_BUCKETS, CLUSTER_MAX_IN_FLIGHT, 1)
        } else {
            (1, MAX_IN_FLIGHT * caller.client.health().connections, MAX_HITS)
        };
        let new = || Arc::new(Self { caller: Arc::clone(caller), max_in_flight, max_hits, queue: Mutex::default() });
        std::iter::repeat_with(new).take(buckets).collect()
    }

    /// Adds a question to those that wait. Its answer comes within the deadline.
    pub(super) fn push(&self, question: Arc<Question>, runtime: &Handle) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        let mut queue = self.queue();
        // Within the lock, so that questions are in the order of their deadlines.
        let deadline = Instant::now() + self.caller.deadline;
        let pending = Pending { question, deadline, runtime: runtime.clone(), answer };
        if queue.waiting.len() < MAX_WAITING {
            queue.waiting.push_back(pending);
        } else {
            drop(queue);
            queue::end([pending], NotSent::TooMany);
        }
        receiver
    }

    /// Ends a question after its deadline, if it waits. The tasks do the same, unless their runtime stands still.
    pub(super) fn give_up(&self, question: &Arc<Question>) -> CallError {
        let mut queue = self.queue();
        let place = queue.waiting.iter().position(|pending| Arc::ptr_eq(&pending.question, question));
        match place.and_then(|place| queue.waiting.remove(place)) {
            Some(_) => self.late().into(),
            None => CallError::Late(self.caller.deadline),
        }
    }

    /// Takes a slot for one more task, if questions wait and there is one.
    pub(super) fn free_slot(&self) -> Option<u64> {
        let (mut queue, now) = (self.queue(), Instant::now());
        if queue.waiting.is_empty() { None } else { queue.free_slot(self.max_in_flight, now, self.until(now)) }
    }

    fn until(&self, now: Instant) -> Instant {
        now + self.caller.deadline + LEEWAY
    }

    pub(super) fn late(&self) -> NotSent {
        NotSent::Late(self.caller.deadline)
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the questions that go next. Frees the slot if there is none.
    pub(super) fn next_batch(&self, id: u64) -> Vec<Pending> {
        self.end_late(id);
        let mut queue = self.queue();
        // Not where another task has taken the slot over.
        let has_slot = queue.heard_of(id, self.until(Instant::now()));
        let batch = if has_slot { queue.take_batch(self.max_hits) } else { Vec::new() };
        if batch.is_empty() {
            queue.leave(id);
        }
        batch
    }

    /// Ends the questions whose deadline has passed while they waited. The task of a slot is heard of.
    pub(super) fn end_late(&self, id: u64) {
        let (mut queue, now) = (self.queue(), Instant::now());
        queue.heard_of(id, self.until(now));
        let late = queue.take_late(now);
        drop(queue);
        self.expire(late, self.late());
    }

    /// Ends questions at their deadline. Counts them, without those whose callers have gone.
    pub(super) fn expire(&self, late: Vec<Pending>, error: impl Into<CallError>) {
        let waited_for = late.iter().filter(|pending| !pending.answer.is_closed()).count();
        self.caller.counts.add(Count::TimedOut, waited_for);
        queue::end(late, error);
    }

    /// Of all questions, those included that come from now on.
    pub(super) fn next_deadline(&self, sent: Option<&Pending>) -> Instant {
        let queue = self.queue();
        let deadlines = queue.waiting.front().into_iter().chain(sent).map(|pending| pending.deadline);
        deadlines.min().unwrap_or_else(|| Instant::now() + self.caller.deadline)
    }
}

impl From<NotSent> for CallError {
    fn from(why: NotSent) -> Self {
        Self::NotRun(why.into())
    }
}
