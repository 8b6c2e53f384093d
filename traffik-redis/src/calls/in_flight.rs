use std::{pin::pin, sync::Arc};

use tokio::{
    runtime::{Handle, Id},
    time::{Instant, timeout_at},
};

use super::{
    batcher::{Batcher, NotSent, Pending, end},
    caller::Program,
    tasks::Work,
};
use crate::{
    client::{CallError, Sent},
    instruments::Count,
};

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
        let counts = &batcher.caller.counts;
        counts.add(Count::Calls, 1);
        counts.add(Count::Decisions, questions.len());
        let decide: Program = |programs| &programs.decide;
        let call = batcher.caller.ask(decide, questions.iter().map(|question| &**question), None, &sent);
        match self.watch(call).await {
            Some(Ok(said)) => {
                let late = questions.len() - self.batch.len();
                let answers = self.batch.drain(..).zip(said.into_iter().skip(late));
                let unheard = answers.filter_map(|(pending, said)| pending.answer.send(Ok(said)).err()).count();
                counts.add(Count::Late, late + unheard);
            }
            Some(Err(error)) => {
                counts.failed(&error, questions.len());
                end(self.batch.drain(..), error);
            }
            None => batcher.expire(std::mem::take(&mut self.batch), batcher.late()),
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
        let ended = NotSent::RuntimeEnded;
        let error = if self.sent.may_run() { CallError::InDoubt(ended.into()) } else { ended.into() };
        self.batcher.caller.counts.failed(&error, self.batch.len());
        end(self.batch.drain(..), error);
        let mut queue = self.batcher.queue();
        queue.leave(self.id);
        if !queue.tasks.is_empty() {
            return;
        }
        let has_ended = |pending: &Pending| pending.runtime.id() == self.runtime;
        let (ended, others): (Vec<_>, _) = std::mem::take(&mut queue.waiting).into_iter().partition(has_ended);
        queue.waiting = others.into();
        let runtime = queue.waiting.front().map(|pending| pending.runtime.clone());
        drop(queue);
        end(ended, NotSent::RuntimeEnded);
        if let Some(runtime) = runtime {
            if let Some(work) = Self::take_slot(&self.batcher, &runtime) {
                self.batcher.caller.tasks.spawn(work, &runtime);
            }
        }
    }
}
