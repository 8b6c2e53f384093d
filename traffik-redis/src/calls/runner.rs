use std::{panic::resume_unwind, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tracing::{Instrument, Span};
use traffik_core::{
    backend::{Answer, BackendError, MaybeReady},
    clock::AnyClock,
};

use super::{
    Exchange, TimedReply,
    batcher::{Batcher, InFlight},
    caller::Caller,
};
use crate::{
    client::{CallError, Client, SLOTS},
    instruments::Count,
    question::Question,
    scripts::Scripts,
};

/// How long after the deadline a caller waits for the task that watches it.
const PATIENCE: Duration = Duration::from_millis(10);

/// The calls of one backend.
pub(crate) struct Calls {
    caller: Arc<Caller>,
    /// The batchers of decisions, by slot.
    batchers: Box<[Arc<Batcher>]>,
}

impl Calls {
    pub(crate) fn new(client: Client, scripts: Scripts, deadline: Duration) -> Self {
        let caller = Arc::new(Caller::new(client, scripts, deadline));
        Self { batchers: Batcher::all_of(&caller), caller }
    }

    /// Starts a decision, in its own call or together with others.
    pub(crate) fn decide(
        &self,
        question: Arc<Question>,
    ) -> Result<impl Future<Output = Result<TimedReply, BackendError>> + Send + use<>, BackendError> {
        let (runtime, caller) = (runtime()?, Arc::clone(&self.caller));
        let batcher = Arc::clone(self.batcher(&question).ok_or(BackendError::Closed)?);
        let answer = batcher.push(Arc::clone(&question), &runtime);
        InFlight::begin(&batcher, &runtime);
        let until = Instant::now() + caller.deadline + PATIENCE;
        Ok(async move {
            match timeout_at(until, answer).await {
                Ok(Ok(answer)) => answer.map_err(CallError::shared),
                Ok(Err(gone)) => Err(BackendError::unavailable(gone)),
                // The tasks that watch deadlines are in a blocked runtime.
                Err(_) => {
                    caller.counts().add(Count::TimedOut, 1);
                    let error = batcher.give_up(&question);
                    InFlight::begin(&batcher, &runtime);
                    Err(error.into())
                }
            }
        })
    }

    fn batcher(&self, question: &Question) -> Option<&Arc<Batcher>> {
        match &*self.batchers {
            [only] => Some(only),
            all => all.get(usize::from(question.slot()) * all.len() / usize::from(SLOTS)),
        }
    }

    /// Starts a task that does some work with the server, whether its caller waits or not. If the work panics, the
    /// panic resumes in the caller that awaits the answer.
    pub(crate) fn start<T, W>(&self, work: impl FnOnce(Arc<Exchange>) -> W) -> Result<Answer<'static, T>, BackendError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, BackendError>> + Send + 'static,
    {
        let exchange = Arc::new(Exchange::new(&self.caller));
        let (sender, answer) = oneshot::channel();
        let performed = Arc::clone(&exchange).perform(work(Arc::clone(&exchange)), sender);
        let task = runtime()?.spawn(performed.instrument(Span::current()));
        Ok(MaybeReady::pending(async move {
            match answer.await {
                Ok(answer) => answer,
                Err(_) => match join(task).await {
                    Err(ended) if !exchange.sent.may_run() => Err(BackendError::not_run(ended)),
                    Err(ended) => Err(ended),
                    Ok(()) => Err(BackendError::unavailable("the task gave no answer")),
                },
            }
        }))
    }

    /// Starts a task that runs to its end. Its calls have their own deadlines.
    pub(crate) fn finish<T: Send + 'static>(
        work: impl Future<Output = Result<T, BackendError>> + Send + 'static,
    ) -> Result<Answer<'static, T>, BackendError> {
        let task = runtime()?.spawn(work.instrument(Span::current()));
        Ok(MaybeReady::pending(async move { join(task).await? }))
    }

    pub(crate) fn clock(&self) -> AnyClock {
        self.caller.scripts.clock()
    }
}

/// Waits for a task. Returns an error if its runtime has ended.
async fn join<T>(task: JoinHandle<T>) -> Result<T, BackendError> {
    match task.await {
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        done => done.map_err(BackendError::unavailable),
    }
}

/// Returns the runtime for the tasks of a call.
fn runtime() -> Result<Handle, BackendError> {
    Handle::try_current().map_err(|_| BackendError::unavailable("there is no Tokio runtime to call Redis in"))
}
