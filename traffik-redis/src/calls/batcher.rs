//! Sends decisions to one server in batches. As soon as one of a few calls is free, it sends all decisions that wait.
//!
//! Under low load, each decision has a call of its own. While all calls are in flight, questions wait, and go together
//! in the next call. So the cost per decision falls as load rises.
//!
//! A task makes the call. It also watches the deadlines of the questions that it has sent and of those that wait.
//! Callers only receive: a caller that is not polled holds nothing that others need.

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

/// The maximum number of calls in flight per connection.
const MAX_IN_FLIGHT: usize = 2;

/// The maximum number of hits per call. Redis does nothing else during a call.
const MAX_HITS: usize = 64;

/// The maximum number of questions that wait. Redis would need longer for these than any deadline.
const MAX_WAITING: usize = 65_536;

/// In a cluster a call goes to one slot, so questions do not share a call, and one node must not delay another. Each
/// bucket is a range of slots, which belongs to one node except where two nodes meet.
const CLUSTER_BUCKETS: usize = 1024;
const CLUSTER_MAX_IN_FLIGHT: usize = 16;

/// How long after a deadline a task may be silent before another task takes its slot.
const LEEWAY: Duration = Duration::from_millis(250);

pub(super) struct Batcher {
    pub(super) caller: Arc<Caller>,
    max_in_flight: usize,
    max_hits: usize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Error)]
pub(super) enum NotSent {
    #[error("{MAX_WAITING} decisions are already waiting")]
    TooMany,
    #[error("no call was free within {0:?}")]
    Late(Duration),
    #[error("the runtime of the task that makes the call has ended")]
    RuntimeEnded,
}

impl Batcher {
    /// Creates one batcher for a server, or one per bucket of a cluster.
    pub(super) fn all_of(caller: &Arc<Caller>) -> Box<[Arc<Self>]> {
        let (buckets, max_in_flight, max_hits) = if caller.client.is_cluster() {
            (CLUSTER_BUCKETS, CLUSTER_MAX_IN_FLIGHT, 1)
        } else {
            (1, MAX_IN_FLIGHT * caller.client.health().connections, MAX_HITS)
        };
        let new = || Arc::new(Self { caller: Arc::clone(caller), max_in_flight, max_hits, queue: Mutex::default() });
        std::iter::repeat_with(new).take(buckets).collect()
    }

    /// Appends a question to the queue. Its answer comes within the deadline.
    pub(super) fn push(&self, question: Arc<Question>, runtime: &Handle) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        let mut queue = self.queue();
        // Taken under the lock, so that questions are in the order of their deadlines.
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

    /// Ends a question after its deadline, if it still waits. The tasks do the same, unless their runtime is blocked.
    pub(super) fn give_up(&self, question: &Arc<Question>) -> CallError {
        let mut queue = self.queue();
        let place = queue.waiting.iter().position(|pending| Arc::ptr_eq(&pending.question, question));
        match place.and_then(|place| queue.waiting.remove(place)) {
            Some(_) => self.late().into(),
            None => CallError::Late(self.caller.deadline),
        }
    }

    /// Takes a slot for one more task, if questions wait and a slot is free.
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

    /// Returns the next questions to send. Frees the slot if there is none.
    pub(super) fn next_batch(&self, id: u64) -> Vec<Pending> {
        self.end_late(id);
        let mut queue = self.queue();
        // Another task may have taken over the slot.
        let has_slot = queue.heard_of(id, self.until(Instant::now()));
        let batch = if has_slot { queue.take_batch(self.max_hits) } else { Vec::new() };
        if batch.is_empty() {
            queue.leave(id);
        }
        batch
    }

    /// Ends the questions whose deadline has passed while they waited. Also records that the task of the slot is alive.
    pub(super) fn end_late(&self, id: u64) {
        let (mut queue, now) = (self.queue(), Instant::now());
        queue.heard_of(id, self.until(now));
        let late = queue.take_late(now);
        drop(queue);
        self.expire(late, self.late());
    }

    /// Ends questions at their deadline. Counts those whose callers still wait.
    pub(super) fn expire(&self, late: Vec<Pending>, error: impl Into<CallError>) {
        let waited_for = late.iter().filter(|pending| !pending.answer.is_closed()).count();
        self.caller.counts.add(Count::TimedOut, waited_for);
        queue::end(late, error);
    }

    /// Returns the next deadline of all questions, including those that arrive from now on.
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
