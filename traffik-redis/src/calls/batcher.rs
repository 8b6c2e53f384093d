//! Decisions on their way to one server: each is sent as soon as one of a few calls is free, together with all that wait then.
//!
//! While few are asked for, each is sent in a call of its own. While all calls are in flight, questions wait until one of them
//! is answered and go together in the next, so that each costs less the more there are.
//!
//! A call is made by a task, which also watches the deadlines of the questions that it has sent and of those that wait. Callers
//! only receive: one that is not polled holds nothing that others need.

use std::{
    collections::VecDeque,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    runtime::{Handle, Id},
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    Counts,
    asking::{Asking, Program, Told},
    driver::{Drivers, Work},
};
use crate::{
    client::{CallError, Sent},
    question::Question,
};

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
    asking: Arc<Asking>,
    deadline: Duration,
    max_in_flight: usize,
    max_hits: usize,
    queue: Mutex<Queue>,
    drivers: Drivers,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Pending>,
    in_flight: Vec<Slot>,
    last_id: u64,
}

/// A call in flight, or a task that is about to make one.
struct Slot {
    id: u64,
    /// When its task is heard of again at the latest. One that is not is in a runtime that stands still.
    until: Instant,
}

/// A question, and where its answer goes.
struct Pending {
    question: Arc<Question>,
    deadline: Instant,
    /// That of its caller.
    runtime: Handle,
    answer: oneshot::Sender<Answer>,
}

pub(super) type Answer = Result<Told, Arc<CallError>>;

#[derive(Debug, Error)]
enum NotSent {
    #[error("{MAX_WAITING} decisions wait already")]
    TooMany,
    #[error("no call was free within {0:?}")]
    Late(Duration),
    #[error("the runtime of the task that makes the call has ended")]
    RuntimeEnded,
}

impl Batcher {
    /// As many as do not get in each other's way.
    pub(super) fn all_of(asking: &Arc<Asking>, deadline: Duration) -> Box<[Arc<Self>]> {
        let (buckets, max_in_flight, max_hits) = if asking.client.is_cluster() {
            (CLUSTER_BUCKETS, CLUSTER_MAX_IN_FLIGHT, 1)
        } else {
            (1, MAX_IN_FLIGHT * asking.client.connections(), MAX_HITS)
        };
        let new = || {
            let (asking, queue, drivers) = (Arc::clone(asking), Mutex::default(), Drivers::default());
            Arc::new(Self { asking, deadline, max_in_flight, max_hits, queue, drivers })
        };
        std::iter::repeat_with(new).take(buckets).collect()
    }

    /// Takes a question, whose answer comes within the deadline.
    pub(super) fn ask(self: &Arc<Self>, question: Arc<Question>, runtime: Handle) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        let mut queue = self.queue();
        // Within the lock, so that questions are in the order of their deadlines.
        let now = Instant::now();
        let pending = Pending { question, deadline: now + self.deadline, runtime, answer };
        if queue.waiting.len() >= MAX_WAITING {
            drop(queue);
            pending.end(NotSent::TooMany);
            return receiver;
        }
        let free = self.free_slot(&mut queue, now).map(|id| (id, pending.runtime.clone()));
        queue.waiting.push_back(pending);
        drop(queue);
        if let Some((id, runtime)) = free {
            self.drivers.begin(self.work(id, &runtime), &runtime);
        }
        receiver
    }

    /// A slot for one more task: a free one, or that of a task that stands still.
    fn free_slot(&self, queue: &mut Queue, now: Instant) -> Option<u64> {
        if queue.in_flight.len() >= self.max_in_flight {
            queue.in_flight.retain(|slot| slot.until > now);
        }
        if queue.in_flight.len() >= self.max_in_flight {
            return None;
        }
        queue.last_id += 1;
        let id = queue.last_id;
        queue.in_flight.push(Slot { id, until: self.until(now) });
        Some(id)
    }

    fn work(self: &Arc<Self>, id: u64, runtime: &Handle) -> Work {
        let in_flight = InFlight { batcher: Arc::clone(self), id, runtime: runtime.id(), has_ended: false };
        Box::pin(in_flight.run())
    }

    fn until(&self, now: Instant) -> Instant {
        now + self.deadline + LEEWAY
    }

    /// Ends a question whose deadline has passed and that is waiting, and starts a task if there is a slot for one. The tasks
    /// do the same, unless their runtime stands still. Returns whether the question was waiting.
    pub(super) fn end_waiting(self: &Arc<Self>, question: &Arc<Question>, runtime: &Handle) -> bool {
        let mut queue = self.queue();
        let place = queue.waiting.iter().position(|pending| Arc::ptr_eq(&pending.question, question));
        let ended = place.and_then(|place| queue.waiting.remove(place));
        let free = if queue.waiting.is_empty() { None } else { self.free_slot(&mut queue, Instant::now()) };
        drop(queue);
        if let Some(id) = free {
            self.drivers.begin(self.work(id, runtime), runtime);
        }
        ended.is_some()
    }

    /// The error of a question that was not sent by its deadline.
    pub(super) fn not_sent_in_time(&self) -> CallError {
        NotSent::Late(self.deadline).into()
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.asking.counts
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The questions that go next. Where there is none the slot is free from now on.
    fn next_batch(&self, id: u64) -> Vec<Pending> {
        let mut queue = self.queue();
        let now = Instant::now();
        let (mut batch, mut late, mut hits) = (Vec::new(), Vec::new(), 0);
        // Not found where another task has taken the slot over.
        if let Some(slot) = queue.in_flight.iter_mut().find(|slot| slot.id == id) {
            slot.until = self.until(now);
            while let Some(pending) = queue.waiting.pop_front() {
                if pending.answer.is_closed() {
                    continue;
                }
                if pending.deadline <= now {
                    late.push(pending);
                    continue;
                }
                hits += pending.question.len();
                if !batch.is_empty() && hits > self.max_hits {
                    queue.waiting.push_front(pending);
                    break;
                }
                batch.push(pending);
            }
        }
        if batch.is_empty() {
            queue.in_flight.retain(|slot| slot.id != id);
        }
        drop(queue);
        self.end_late(late);
        batch
    }

    /// Waits for `work`, and meanwhile ends questions whose deadline passes. Returns `None` if that is the deadline of a
    /// question of `batch` and nothing was sent: then nothing must be sent any more.
    async fn watch<T>(
        &self,
        id: u64,
        mut work: Pin<&mut impl Future<Output = T>>,
        batch: &mut Vec<Pending>,
        sent: &Sent,
    ) -> Option<T> {
        loop {
            if let Ok(done) = timeout_at(self.next_deadline(batch), work.as_mut()).await {
                return Some(done);
            }
            let now = Instant::now();
            let late = self.take_late(id, now);
            self.end_late(late);
            let late = batch.iter().take_while(|pending| pending.deadline <= now).count();
            if late > 0 && !sent.may_run() {
                return None;
            }
            self.count_late(batch.iter().take(late));
            batch.drain(..late).for_each(|pending| pending.end(CallError::Late(self.deadline)));
        }
    }

    /// The questions whose deadline has passed while they waited. The slot's task is heard of.
    fn take_late(&self, id: u64, now: Instant) -> Vec<Pending> {
        let mut queue = self.queue();
        let until = self.until(now);
        queue.in_flight.iter_mut().filter(|slot| slot.id == id).for_each(|slot| slot.until = until);
        // They are in the order of their deadlines.
        let late = queue.waiting.partition_point(|pending| pending.deadline <= now);
        queue.waiting.drain(..late).collect()
    }

    /// Of all questions, those included that come from now on.
    fn next_deadline(&self, batch: &[Pending]) -> Instant {
        let waiting = self.queue().waiting.front().map(|pending| pending.deadline);
        let sent = batch.first().map(|pending| pending.deadline);
        sent.into_iter().chain(waiting).min().unwrap_or_else(|| Instant::now() + self.deadline)
    }

    fn end_late(&self, late: Vec<Pending>) {
        self.count_late(&late);
        late.into_iter().for_each(|pending| pending.end(NotSent::Late(self.deadline)));
    }
}

impl Batcher {
    /// Counts those that have not given up by themselves.
    fn count_late<'a>(&self, late: impl IntoIterator<Item = &'a Pending>) {
        self.asking.counts.timed_out(late.into_iter().filter(|pending| !pending.answer.is_closed()).count());
    }
}

impl Pending {
    fn end(self, error: impl Into<CallError>) {
        self.end_with(Arc::new(error.into()));
    }

    fn end_with(self, error: Arc<CallError>) {
        // Nobody may wait any more.
        let _ = self.answer.send(Err(error));
    }
}

/// The task of a slot. It makes one call after the other while questions wait.
struct InFlight {
    batcher: Arc<Batcher>,
    id: u64,
    /// Where it runs.
    runtime: Id,
    has_ended: bool,
}

impl InFlight {
    async fn run(mut self) {
        let batcher = Arc::clone(&self.batcher);
        loop {
            // No question is taken before there is a connection: what waits was not sent.
            let ready = pin!(batcher.asking.client.ready());
            let ready = batcher.watch(self.id, ready, &mut Vec::new(), &Sent::default()).await;
            let counts = Arc::clone(&batcher.asking.counts);
            let batch = Batch { pending: batcher.next_batch(self.id), sent: Sent::default(), counts };
            if batch.pending.is_empty() {
                self.has_ended = true;
                return;
            }
            match ready {
                Some(Err(error)) => batch.end(error),
                _ => batch.send(&batcher, self.id).await,
            }
        }
    }
}

/// The runtime has ended: the questions of its callers with it, and those of others go on in another one.
impl Drop for InFlight {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        let mut queue = self.batcher.queue();
        queue.in_flight.retain(|slot| slot.id != self.id);
        if !queue.in_flight.is_empty() {
            return;
        }
        let has_ended = |pending: &Pending| pending.runtime.id() == self.runtime;
        let (ended, others): (VecDeque<_>, _) = std::mem::take(&mut queue.waiting).into_iter().partition(has_ended);
        queue.waiting = others;
        let runtime = queue.waiting.front().map(|pending| pending.runtime.clone());
        let next = runtime.and_then(|runtime| Some((self.batcher.free_slot(&mut queue, Instant::now())?, runtime)));
        drop(queue);
        ended.into_iter().for_each(|pending| pending.end(NotSent::RuntimeEnded));
        if let Some((id, runtime)) = next {
            self.batcher.drivers.spawn(self.batcher.work(id, &runtime), &runtime);
        }
    }
}

/// The questions of one call, but for those whose deadline has passed.
struct Batch {
    pending: Vec<Pending>,
    sent: Sent,
    counts: Arc<Counts>,
}

impl Batch {
    async fn send(mut self, batcher: &Batcher, id: u64) {
        let counts = Arc::clone(&self.counts);
        let questions: Vec<_> = self.pending.iter().map(|pending| Arc::clone(&pending.question)).collect();
        counts.called();
        counts.decided(questions.len());
        let decide: Program = |programs| &programs.decide;
        let answer = {
            let questions = questions.iter().map(|question| &**question);
            let call = pin!(batcher.asking.ask(decide, questions, None, &self.sent));
            batcher.watch(id, call, &mut self.pending, &self.sent).await
        };
        match answer {
            Some(Ok(told)) => {
                let late = questions.len() - self.pending.len();
                let answers = self.pending.drain(..).zip(told.into_iter().skip(late));
                let unheard = answers.filter_map(|(pending, told)| pending.answer.send(Ok(told)).err()).count();
                counts.late(late + unheard);
            }
            Some(Err(error)) => {
                counts.ended(Some(&error), questions.len());
                self.end(error);
            }
            None => {
                batcher.count_late(&self.pending);
                self.end(NotSent::Late(batcher.deadline));
            }
        }
    }

    /// The same error for all.
    fn end(mut self, error: impl Into<CallError>) {
        let error = Arc::new(error.into());
        self.pending.drain(..).for_each(|pending| pending.end_with(Arc::clone(&error)));
    }
}

/// The runtime ends.
impl Drop for Batch {
    fn drop(&mut self) {
        let may_run = self.sent.may_run();
        let error =
            || if may_run { CallError::InDoubt(NotSent::RuntimeEnded.into()) } else { NotSent::RuntimeEnded.into() };
        self.counts.ended(Some(&error()), self.pending.len());
        self.pending.drain(..).for_each(|pending| pending.end(error()));
    }
}

impl From<NotSent> for CallError {
    fn from(why: NotSent) -> Self {
        Self::NotRun(why.into())
    }
}
