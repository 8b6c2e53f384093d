use std::{pin::pin, sync::Arc};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};
use traffik_core::backend::BackendError;

use super::{
    batcher::NotSent,
    caller::{Caller, Program, TimedReply},
};
use crate::{
    client::{CallError, Reply, Sent},
    instruments::Count,
    question::Question,
    script::Script,
    scripts::Scripts,
};

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

    /// Sends a question. Returns one reply, or one per hit, as the script does.
    pub(crate) async fn ask(
        &self,
        program: Program,
        question: &Question,
        more: Option<Vec<u8>>,
    ) -> Result<Vec<TimedReply>, BackendError> {
        self.call(self.caller.ask(program, std::iter::once(question), more, &self.sent)).await
    }

    /// Runs a script that works on stored states instead of hits.
    pub(crate) async fn run(
        &self,
        script: fn(&Scripts) -> &Script,
        keys: &[String],
        args: Vec<Vec<u8>>,
    ) -> Result<Reply, BackendError> {
        self.call(self.caller.run(script(self.caller.time.scripts()), keys, args, &self.sent)).await
    }

    pub(crate) async fn remove(&self, keys: &[String]) -> Result<(), BackendError> {
        self.call(self.caller.client.remove(keys, &self.sent)).await
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, CallError>>) -> Result<T, BackendError> {
        let permit = timeout_at(self.until, self.caller.other_calls.acquire()).await;
        let (Ok(Ok(_permit)), true) = (permit, Instant::now() < self.until) else { return Err(self.too_late()) };
        self.caller.counts.add(Count::Calls, 1);
        let answer = call.await;
        Ok(answer.inspect_err(|error| self.caller.counts.failed(error, 1))?)
    }

    fn too_late(&self) -> BackendError {
        let deadline = self.caller.deadline;
        let error = if self.sent.may_run() { CallError::Late(deadline) } else { NotSent::Late(deadline).into() };
        error.into()
    }

    /// Does the work, and sends its result to the caller. At the deadline, sends an error instead. Then waits for the
    /// call in flight, to count it.
    pub(super) async fn perform<T>(
        self: Arc<Self>,
        work: impl Future<Output = Result<T, BackendError>>,
        answer: oneshot::Sender<Result<T, BackendError>>,
    ) {
        let (mut work, counts) = (pin!(work), &self.caller.counts);
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
