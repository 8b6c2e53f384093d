//! Sends decisions to one server in batches. As soon as one of a few calls is free, it sends all decisions that wait.
//!
//! Under low load, each decision has a call of its own. While all calls are in flight, questions wait, and go together
//! in the next call. So the cost per decision falls as load rises.
//!
//! A task makes the call. It also watches the deadlines of the questions that it has sent and of those that wait.
//! Callers only receive: a caller that is not polled holds nothing that others need.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    TimedReply,
    caller::{Caller, MAX_WAITING, Program},
    tasks::Work,
};
use crate::{
    client::{CallError, Sent},
    instruments::Count,
    lock::lock,
    question::Question,
};

/// The maximum number of calls in flight per connection.
const MAX_IN_FLIGHT: usize = 2;

/// The maximum number of hits per call. Redis does nothing else during a call.
const MAX_HITS: usize = 64;

/// In a cluster a call goes to one slot, so questions do not share a call, and one node must not delay another. Each
/// bucket is a range of slots, which belongs to one node except where two nodes meet.
const CLUSTER_BUCKETS: usize = 1024;
const CLUSTER_MAX_IN_FLIGHT: usize = 16;

/// How long after a deadline a task may be silent before another task takes its slot.
const LEEWAY: Duration = Duration::from_millis(250);

/// The error of calls whose task is dropped.
const ENDED: &str = "the runtime of the task that makes the call has ended";

pub(super) struct Batcher {
    caller: Arc<Caller>,
    max_in_flight: usize,
    max_hits: usize,
    queue: Mutex<Queue>,
}

type Answer = Result<TimedReply, Arc<CallError>>;

/// A question that waits, and the receiver of its answer.
struct Pending {
    question: Arc<Question>,
    pub(super) deadline: Instant,
    /// The runtime of its caller.
    runtime: Handle,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Questions that wait, in the order of their deadlines, and the tasks that make calls.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<Pending>,
    pub(super) tasks: Vec<Slot>,
    last_id: u64,
}

/// A call in flight, or a task that is about to make one.
struct Slot {
    id: u64,
    /// The time by which its task has to report again. A task that does not is in a blocked runtime, and any other task
    /// may take the slot.
    until: Instant,
}

impl Batcher {
    /// Creates one batcher for a server, or one per bucket of a cluster.
    pub(super) fn all_of(caller: &Arc<Caller>) -> Box<[Arc<Self>]> {
        let (buckets, max_in_flight, max_hits) = if caller.client.is_cluster() {
            (CLUSTER_BUCKETS, CLUSTER_MAX_IN_FLIGHT, 1)
        } else {
            (1, MAX_IN_FLIGHT * caller.client.stats().connections, MAX_HITS)
        };
        let new = || Arc::new(Self { caller: Arc::clone(caller), max_in_flight, max_hits, queue: Mutex::default() });
        std::iter::repeat_with(new).take(buckets).collect()
    }

    /// Appends a question to the queue. Its answer comes within the deadline.
    pub(super) fn push(&self, question: Arc<Question>, runtime: &Handle) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        let mut queue = lock(&self.queue);
        // Taken under the lock, so that questions are in the order of their deadlines.
        let deadline = Instant::now() + self.caller.deadline;
        let pending = Pending { question, deadline, runtime: runtime.clone(), answer };
        if queue.waiting.len() < MAX_WAITING {
            queue.waiting.push_back(pending);
        } else {
            drop(queue);
            let why = format!("{MAX_WAITING} decisions are already waiting");
            end([pending], CallError::NotRun(why.into()));
        }
        receiver
    }

    /// Ends a question after its deadline, if it still waits. The tasks do the same, unless their runtime is blocked.
    pub(super) fn give_up(&self, question: &Arc<Question>) -> CallError {
        let mut queue = lock(&self.queue);
        let place = queue.waiting.iter().position(|pending| Arc::ptr_eq(&pending.question, question));
        match place.and_then(|place| queue.waiting.remove(place)) {
            Some(_) => self.not_sent(),
            None => CallError::Late(self.caller.deadline),
        }
    }

    /// Takes a slot for one more task, if questions wait and a slot is free.
    fn free_slot(&self) -> Option<u64> {
        let (mut queue, now) = (lock(&self.queue), Instant::now());
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

    fn not_sent(&self) -> CallError {
        CallError::not_sent(self.caller.deadline)
    }

    /// Returns the next questions to send, without those whose callers are gone. Frees the slot if there is none.
    fn next_batch(&self, id: u64) -> Vec<Pending> {
        let (mut batch, mut hits) = (Vec::new(), 0);
        // Another task may have taken over the slot.
        if !self.end_late(id) {
            return batch;
        }
        let mut queue = lock(&self.queue);
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
            queue.tasks.retain(|slot| slot.id != id);
        }
        batch
    }

    /// Ends the questions whose deadline has passed while they waited. Also records that the task of the slot is alive.
    /// Returns whether it still has its slot.
    fn end_late(&self, id: u64) -> bool {
        let (mut queue, now) = (lock(&self.queue), Instant::now());
        let slot = queue.tasks.iter_mut().find(|slot| slot.id == id);
        let has_slot = slot.map(|slot| slot.until = self.until()).is_some();
        let late = queue.waiting.partition_point(|pending| pending.deadline <= now);
        let late = queue.waiting.drain(..late).collect();
        drop(queue);
        self.expire(late, self.not_sent());
        has_slot
    }

    /// Ends questions at their deadline. Counts those whose callers still wait.
    fn expire(&self, late: Vec<Pending>, error: CallError) {
        let waited_for = late.iter().filter(|pending| !pending.answer.is_closed()).count();
        self.caller.counts().add(Count::TimedOut, waited_for);
        end(late, error);
    }

    /// Returns the next deadline of all questions, including those that arrive from now on.
    fn next_deadline(&self, sent: Option<&Pending>) -> Instant {
        let queue = lock(&self.queue);
        let deadlines = queue.waiting.front().into_iter().chain(sent).map(|pending| pending.deadline);
        deadlines.min().unwrap_or_else(|| Instant::now() + self.caller.deadline)
    }
}

/// Ends questions with the same error.
fn end(questions: impl IntoIterator<Item = Pending>, error: CallError) {
    let error = Arc::new(error);
    for pending in questions {
        // The caller may have been dropped.
        let _ = pending.answer.send(Err(Arc::clone(&error)));
    }
}

/// The task of a slot. It makes one call after the other while questions wait.
pub(super) struct InFlight {
    batcher: Arc<Batcher>,
    id: u64,
    /// The runtime of the task.
    runtime: Id,
    has_ended: bool,
    /// The questions of the call, without those whose deadline has passed.
    batch: Vec<Pending>,
    sent: Arc<Sent>,
}

impl InFlight {
    /// Begins a call in `runtime`, the current runtime, if questions wait and a slot is free.
    pub(super) fn begin(batcher: &Arc<Batcher>, runtime: &Handle) {
        if let Some(work) = Self::take_slot(batcher, runtime) {
            batcher.caller.tasks.begin(work, runtime);
        }
    }

    fn take_slot(batcher: &Arc<Batcher>, runtime: &Handle) -> Option<Work> {
        let (id, batcher, runtime) = (batcher.free_slot()?, Arc::clone(batcher), runtime.id());
        let task = Self { batcher, id, runtime, has_ended: false, batch: Vec::new(), sent: Arc::default() };
        Some(Box::pin(task.run()))
    }

    async fn run(mut self) {
        let batcher = Arc::clone(&self.batcher);
        loop {
            // Takes no question before there is a connection: a question that waits counts as not sent.
            let ready = self.watch(batcher.caller.client.ready()).await;
            self.batch = batcher.next_batch(self.id);
            if self.batch.is_empty() {
                self.has_ended = true;
                return;
            }
            match ready {
                Some(Err(error)) => end(self.batch.drain(..), error),
                _ => self.send().await,
            }
        }
    }

    async fn send(&mut self) {
        self.sent = Arc::default();
        let (batcher, sent) = (Arc::clone(&self.batcher), Arc::clone(&self.sent));
        let questions: Vec<_> = self.batch.iter().map(|pending| Arc::clone(&pending.question)).collect();
        let counts = batcher.caller.counts();
        counts.add(Count::Calls, 1);
        counts.add(Count::Decisions, questions.len());
        let decide: Program = |programs| &programs.decide;
        let call = batcher.caller.ask(decide, questions.iter().map(|question| &**question), &sent);
        match self.watch(call).await {
            Some(Ok(said)) => {
                let late = questions.len() - self.batch.len();
                let answers = self.batch.drain(..).zip(said.into_iter().skip(late));
                let unheard = answers.filter_map(|(pending, said)| pending.answer.send(Ok(said)).err()).count();
                counts.add(Count::Late, late + unheard);
            }
            Some(Err(error)) => {
                batcher.caller.failed(&error, questions.len());
                end(self.batch.drain(..), error);
            }
            None => batcher.expire(std::mem::take(&mut self.batch), batcher.not_sent()),
        }
    }

    /// Waits for `work`, and meanwhile ends questions whose deadline passes. Returns `None` if the deadline of a
    /// question of the batch passes and nothing was sent. Nothing may be sent after that.
    async fn watch<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            let deadline = self.batcher.next_deadline(self.batch.first());
            if let Ok(done) = timeout_at(deadline, work.as_mut()).await {
                return Some(done);
            }
            self.batcher.end_late(self.id);
            let now = Instant::now();
            let late = self.batch.iter().take_while(|pending| pending.deadline <= now).count();
            if late > 0 && !self.sent.may_run() {
                return None;
            }
            let late = self.batch.drain(..late).collect();
            self.batcher.expire(late, CallError::Late(self.batcher.caller.deadline));
        }
    }
}

/// Runs if the runtime has ended. Ends the questions of callers in that runtime. Questions of other callers continue in
/// another runtime.
impl Drop for InFlight {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let error =
            if self.sent.may_run() { CallError::InDoubt(ENDED.into()) } else { CallError::NotRun(ENDED.into()) };
        self.batcher.caller.failed(&error, self.batch.len());
        end(self.batch.drain(..), error);
        let mut queue = lock(&self.batcher.queue);
        queue.tasks.retain(|slot| slot.id != self.id);
        if !queue.tasks.is_empty() {
            return;
        }
        let has_ended = |pending: &Pending| pending.runtime.id() == self.runtime;
        let (ended, others): (Vec<_>, _) = std::mem::take(&mut queue.waiting).into_iter().partition(has_ended);
        queue.waiting = others.into();
        let runtime = queue.waiting.front().map(|pending| pending.runtime.clone());
        drop(queue);
        end(ended, CallError::NotRun(ENDED.into()));
        if let Some(runtime) = runtime {
            if let Some(work) = Self::take_slot(&self.batcher, &runtime) {
                self.batcher.caller.tasks.spawn(work, &runtime);
            }
        }
    }
}
