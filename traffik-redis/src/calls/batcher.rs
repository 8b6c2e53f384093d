//! Sends decisions to one server in batches. As soon as one of a few calls is free, it sends all decisions that wait.
//!
//! Under low load, each decision has a call of its own. While all calls are in flight, questions wait, and go together
//! in the next call. So the cost per decision falls as load rises.
//!
//! A task makes the call. It also watches the deadlines of the questions that it has sent and of those that wait.
//! Callers only receive: a caller that is not polled holds nothing that others need.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::{runtime::Handle, sync::oneshot, time::Instant};

use super::{TimedReply, caller::Caller};
use crate::{client::CallError, instruments::Count, question::Question};

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

type Answer = Result<TimedReply, Arc<CallError>>;

/// A question that waits, and the receiver of its answer.
pub(super) struct Pending {
    pub(super) question: Arc<Question>,
    pub(super) deadline: Instant,
    /// The runtime of its caller.
    pub(super) runtime: Handle,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Questions that wait, in the order of their deadlines, and the tasks that make calls.
#[derive(Default)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<Pending>,
    pub(super) tasks: Vec<Slot>,
    last_id: u64,
}

/// A call in flight, or a task that is about to make one.
pub(super) struct Slot {
    pub(super) id: u64,
    /// The time by which its task has to report again. A task that does not is in a blocked runtime, and any other task
    /// may take the slot.
    until: Instant,
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
            end([pending], NotSent::TooMany);
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
        if queue.tasks.len() >= self.max_in_flight {
            queue.tasks.retain(|slot| slot.until > now);
        }
        if queue.waiting.is_empty() || queue.tasks.len() >= self.max_in_flight {
            return None;
        }
        queue.last_id += 1;
        let id = queue.last_id;
        queue.tasks.push(Slot { id, until: self.until() });
        Some(id)
    }

    fn until(&self) -> Instant {
        Instant::now() + self.caller.deadline + LEEWAY
    }

    pub(super) fn late(&self) -> NotSent {
        NotSent::Late(self.caller.deadline)
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the next questions to send, without those whose callers are gone. Frees the slot if there is none.
    pub(super) fn next_batch(&self, id: u64) -> Vec<Pending> {
        let (mut batch, mut hits) = (Vec::new(), 0);
        // Another task may have taken over the slot.
        if !self.end_late(id) {
            return batch;
        }
        let mut queue = self.queue();
        while let Some(pending) = queue.waiting.pop_front() {
            if pending.answer.is_closed() {
                continue;
            }
            hits += pending.question.len();
            if !batch.is_empty() && hits > self.max_hits {
                queue.waiting.push_front(pending);
                break;
            }
            batch.push(pending);
        }
        if batch.is_empty() {
            queue.leave(id);
        }
        batch
    }

    /// Ends the questions whose deadline has passed while they waited. Also records that the task of the slot is alive.
    /// Returns whether it still has its slot.
    pub(super) fn end_late(&self, id: u64) -> bool {
        let (mut queue, now) = (self.queue(), Instant::now());
        let slot = queue.tasks.iter_mut().find(|slot| slot.id == id);
        let has_slot = slot.map(|slot| slot.until = self.until()).is_some();
        let late = queue.waiting.partition_point(|pending| pending.deadline <= now);
        let late = queue.waiting.drain(..late).collect();
        drop(queue);
        self.expire(late, self.late());
        has_slot
    }

    /// Ends questions at their deadline. Counts those whose callers still wait.
    pub(super) fn expire(&self, late: Vec<Pending>, error: impl Into<CallError>) {
        let waited_for = late.iter().filter(|pending| !pending.answer.is_closed()).count();
        self.caller.counts.add(Count::TimedOut, waited_for);
        end(late, error);
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

impl Queue {
    pub(super) fn leave(&mut self, id: u64) {
        self.tasks.retain(|slot| slot.id != id);
    }
}

/// Ends questions with the same error.
pub(super) fn end(questions: impl IntoIterator<Item = Pending>, error: impl Into<CallError>) {
    let error = Arc::new(error.into());
    for pending in questions {
        // The caller may have been dropped.
        let _ = pending.answer.send(Err(Arc::clone(&error)));
    }
}
