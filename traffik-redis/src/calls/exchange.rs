use std::{any::Any, pin::pin, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    sync::{Semaphore, oneshot},
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use traffik_core::backend::BackendError;

use super::{
    Counts,
    asking::{Asking, Program, Told},
};
use crate::{
    client::{CallError, Reply, Sent},
    question::Question,
    script::Script,
    scripts::Scripts,
};

/// What one task exchanges with the server, in one call or several, until its deadline. After that it sends nothing.
pub(crate) struct Exchange {
    asking: Arc<Asking>,
    places: Arc<Semaphore>,
    deadline: Duration,
    until: Instant,
    sent: Sent,
}

#[derive(Debug, Error)]
#[error("it was not sent within {0:?}")]
struct TooLate(Duration);

impl Exchange {
    pub(super) fn new(asking: &Arc<Asking>, places: &Arc<Semaphore>, deadline: Duration) -> Self {
        let (asking, places) = (Arc::clone(asking), Arc::clone(places));
        Self { asking, places, deadline, until: Instant::now() + deadline, sent: Sent::default() }
    }

    /// Until when a turn is waited for. Whoever has it may be in a runtime that stands still.
    pub(crate) fn half_time(&self) -> Instant {
        self.until - self.deadline / 2
    }

    /// Asks one question.
    pub(crate) async fn ask(
        &self,
        program: Program,
        question: &Question,
        more: Option<Vec<u8>>,
    ) -> Result<Told, BackendError> {
        self.call(self.asking.ask_one(program, question, more, &self.sent)).await
    }

    /// Asks one question of a program that answers for each hit.
    pub(crate) async fn ask_all(
        &self,
        program: Program,
        question: &Question,
        more: Option<Vec<u8>>,
    ) -> Result<Vec<Told>, BackendError> {
        self.call(self.asking.ask(program, std::iter::once(question), more, &self.sent)).await
    }

    /// Runs a program that is about what is stored, and not about hits.
    pub(crate) async fn run(
        &self,
        program: fn(&Scripts) -> &Script,
        keys: &[String],
        args: Vec<Vec<u8>>,
    ) -> Result<Reply, BackendError> {
        self.call(self.asking.run(program, keys, args, &self.sent)).await
    }

    /// Removes keys.
    pub(crate) async fn remove(&self, keys: &[String]) -> Result<(), BackendError> {
        self.call(self.asking.client.remove(keys, &self.sent)).await
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, CallError>>) -> Result<T, BackendError> {
        let place = timeout_at(self.until, self.places.acquire()).await;
        let (Ok(Ok(_place)), true) = (place, Instant::now() < self.until) else { return Err(self.too_late()) };
        self.asking.counts.called();
        let answer = call.await;
        self.asking.counts.ended(answer.as_ref().err(), 1);
        Ok(answer?)
    }

    fn too_late(&self) -> BackendError {
        if self.sent.may_run() {
            BackendError::Timeout(self.deadline)
        } else {
            BackendError::not_run(TooLate(self.deadline))
        }
    }

    /// Does the work. At the deadline `answer` is told an error; what was sent by then is waited for, to know what it did.
    pub(super) async fn perform<T>(
        self: Arc<Self>,
        work: impl Future<Output = Result<T, BackendError>>,
        answer: oneshot::Sender<Result<T, BackendError>>,
    ) {
        let mut work = pin!(work);
        let counts: &Counts = &self.asking.counts;
        if let Ok(done) = timeout_at(self.until, work.as_mut()).await {
            if answer.send(done).is_err_and(|unheard| unheard.is_ok()) {
                counts.late(1);
            }
            return;
        }
        counts.timed_out(1);
        let may_run = self.sent.may_run();
        // The caller may be gone by now.
        let _ = answer.send(Err(self.too_late()));
        if may_run && work.await.is_ok() {
            counts.late(1);
        }
    }

    /// The answer to what a task does. `panicked` says what to make of a panic in it, as in a custom strategy.
    pub(super) async fn wait<T>(
        &self,
        answer: oneshot::Receiver<Result<T, BackendError>>,
        task: JoinHandle<()>,
        panicked: fn(Box<dyn Any + Send>) -> BackendError,
    ) -> Result<T, BackendError> {
        if let Ok(answer) = answer.await {
            return answer;
        }
        match task.await {
            Err(error) if error.is_panic() => Err(panicked(error.into_panic())),
            Err(ended) if !self.sent.may_run() => Err(BackendError::not_run(ended)),
            Err(ended) => Err(BackendError::unavailable(ended)),
            Ok(()) => Err(BackendError::unavailable("the task gave no answer")),
        }
    }
}
