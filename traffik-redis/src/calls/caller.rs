//! What all calls of a backend share, and the calls of one task.

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, timeout_at},
};
use traffik_core::{backend::BackendError, clock::Timestamp};

use super::tasks::Tasks;
use crate::{
    client::{CallError, Client, Reply, Script, Sent, UnexpectedReply},
    instruments::{Count, Counts},
    question::{Question, Way},
    scripts::{LuaSet, Programs, Scripts},
};

/// The maximum number of calls in flight other than decisions.
const OTHER_CALLS: usize = 64;

/// The maximum number of questions that wait. Redis would need longer for these than any deadline.
pub(super) const MAX_WAITING: usize = 65_536;

/// Selects one of the scripts of a set of strategies.
pub(crate) type Program = fn(&Programs) -> &Script;

/// The server's reply to one question, and its time by the server's clock.
pub(crate) struct TimedReply {
    pub(crate) at: Timestamp,
    pub(crate) reply: Reply,
}

/// The state that all calls of a backend share.
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) scripts: Scripts,
    pub(super) deadline: Duration,
    other_calls: Semaphore,
    pub(super) tasks: Arc<Tasks>,
}

impl Caller {
    pub(super) fn new(client: Client, scripts: Scripts, deadline: Duration) -> Self {
        Self { client, scripts, deadline, other_calls: Semaphore::new(OTHER_CALLS), tasks: Arc::default() }
    }

    pub(super) fn counts(&self) -> &Counts {
        self.client.counts()
    }

    /// Records that a call with several questions ended in an error.
    pub(super) fn failed(&self, error: &CallError, questions: usize) {
        if let CallError::InDoubt(_) = error {
            self.counts().add(Count::InDoubt, questions);
        }
    }

    /// Sends questions in one call. Returns the reply to each.
    pub(super) async fn ask<'a>(
        &self,
        program: Program,
        questions: impl Iterator<Item = &'a Question> + Clone,
        sent: &Sent,
    ) -> Result<Vec<TimedReply>, CallError> {
        let strategies = |question: &Question| if let Way::Script(set) = question.way { Some(set) } else { None };
        let Some(strategies) = questions.clone().filter_map(strategies).reduce(LuaSet::and) else {
            return Ok(Vec::new());
        };
        let keys: Vec<_> = questions.clone().flat_map(|question| &question.places.keys).cloned().collect();
        let args = questions.flat_map(|question| &question.args).cloned().collect();
        let reply = self.run(program(self.scripts.of(strategies)), &keys, args, sent).await?;
        let (at, items) = reply.timed()?;
        Ok(items.map(|reply| TimedReply { at, reply }).collect())
    }

    async fn run(
        &self,
        script: &Script,
        keys: &[String],
        mut args: Vec<Vec<u8>>,
        sent: &Sent,
    ) -> Result<Reply, CallError> {
        args.extend(self.scripts.time());
        self.client.run(script, keys, &args, sent).await
    }
}

/// The calls of one task, until its deadline. After the deadline it sends nothing.
pub(crate) struct Exchange {
    caller: Arc<Caller>,
    until: Instant,
    pub(super) sent: Sent,
}

impl Exchange {
    pub(super) fn new(caller: &Arc<Caller>) -> Self {
        Self { caller: Arc::clone(caller), until: Instant::now() + caller.deadline, sent: Sent::default() }
    }

    /// Returns when to stop waiting for a turn. The task that has the turn may be in a blocked runtime.
    pub(crate) fn half_time(&self) -> Instant {
        self.until - self.caller.deadline / 2
    }

    /// Sends a question. Returns `expected` replies: one, or one per hit, as the script does.
    pub(crate) async fn ask(
        &self,
        program: Program,
        question: &Question,
        expected: usize,
    ) -> Result<impl Iterator<Item = TimedReply> + use<>, BackendError> {
        let replies = self.call(self.caller.ask(program, std::iter::once(question), &self.sent)).await?;
        if replies.len() == expected {
            Ok(replies.into_iter())
        } else {
            Err(UnexpectedReply("not one per question").into())
        }
    }

    /// Runs a script that works on stored states instead of hits.
    pub(crate) async fn run(
        &self,
        script: fn(&Scripts) -> &Script,
        keys: &[String],
        args: Vec<Vec<u8>>,
    ) -> Result<Reply, BackendError> {
        self.call(self.caller.run(script(&self.caller.scripts), keys, args, &self.sent)).await
    }

    pub(crate) async fn remove(&self, keys: &[String]) -> Result<(), BackendError> {
        self.call(self.caller.client.remove(keys, &self.sent)).await
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, CallError>>) -> Result<T, BackendError> {
        let permit = timeout_at(self.until, self.caller.other_calls.acquire()).await;
        let (Ok(Ok(_permit)), true) = (permit, Instant::now() < self.until) else { return Err(self.too_late()) };
        self.caller.counts().add(Count::Calls, 1);
        let answer = call.await;
        Ok(answer.inspect_err(|error| self.caller.failed(error, 1))?)
    }

    fn too_late(&self) -> BackendError {
        let deadline = self.caller.deadline;
        let error = if self.sent.may_run() { CallError::Late(deadline) } else { CallError::not_sent(deadline) };
        error.into()
    }

    /// Does the work, and sends its result to the caller. At the deadline, sends an error instead. Then waits for the
    /// call in flight, to count it.
    pub(super) async fn perform<T>(
        self: Arc<Self>,
        work: impl Future<Output = Result<T, BackendError>>,
        answer: oneshot::Sender<Result<T, BackendError>>,
    ) {
        let (mut work, counts) = (pin!(work), self.caller.counts());
        if let Ok(done) = timeout_at(self.until, work.as_mut()).await {
            if answer.send(done).is_err_and(|unheard| unheard.is_ok()) {
                counts.add(Count::Late, 1);
            }
            return;
        }
        counts.add(Count::TimedOut, 1);
        let may_run = self.sent.may_run();
        // The caller may have been dropped.
        let _ = answer.send(Err(self.too_late()));
        if may_run && work.await.is_ok() {
            counts.add(Count::Late, 1);
        }
    }
}
