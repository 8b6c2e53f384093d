//! How the server is asked: by tasks, within a deadline, a few calls at a time, and for several callers together where they
//! would have to wait anyway.
//!
//! Whatever callers share, a call in flight or a place among the others, is held by a task and never by a caller.

mod asking;
mod batcher;
mod counts;
mod driver;
mod exchange;
mod stats;

use std::{any::Any, panic::resume_unwind, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
    time::{Instant, timeout_at},
};
use tracing::{Instrument, Span};
use traffik_core::backend::{Answer, BackendError, MaybeReady};
#[cfg(feature = "test")]
use traffik_core::clock::AnyClock;

pub use self::stats::RedisStats;
use self::{asking::Asking, batcher::Batcher};
pub(crate) use self::{asking::Told, counts::Counts, exchange::Exchange};
use crate::{
    client::{CallError, Client},
    question::Question,
    scripts::Time,
};

/// How many calls besides decisions may be under way at once.
const OTHER_CALLS: usize = 64;

/// How much longer than the deadline a caller waits for the task that watches it.
const PATIENCE: Duration = Duration::from_millis(10);

/// How many slots a cluster has.
const SLOTS: u16 = 16_384;

/// The calls of one backend.
pub(crate) struct Calls {
    asking: Arc<Asking>,
    deadline: Duration,
    /// For decisions, by their slots.
    batchers: Box<[Arc<Batcher>]>,
    /// The places of all other calls.
    places: Arc<Semaphore>,
}

impl Calls {
    pub(crate) fn new(client: Client, time: Time, deadline: Duration) -> Self {
        let asking = Arc::new(Asking::new(client, time));
        let (batchers, places) = (Batcher::all_of(&asking, deadline), Arc::new(Semaphore::new(OTHER_CALLS)));
        Self { asking, deadline, batchers, places }
    }

    /// The same way to the same server, by another time.
    #[cfg(feature = "test")]
    pub(crate) fn by(&self, time: Time) -> Self {
        Self::new(self.asking.client.clone(), time, self.deadline)
    }

    /// Starts a decision, in a call of its own or together with others.
    pub(crate) fn decide(
        &self,
        question: Arc<Question>,
    ) -> Result<impl Future<Output = Result<Told, BackendError>> + Send + use<>, BackendError> {
        let (runtime, deadline) = (runtime()?, self.deadline);
        let batcher = Arc::clone(self.batcher(&question).ok_or(BackendError::Closed)?);
        let answer = batcher.ask(Arc::clone(&question), runtime.clone());
        let until = Instant::now() + deadline + PATIENCE;
        Ok(async move {
            match timeout_at(until, answer).await {
                Ok(Ok(answer)) => answer.map_err(failed),
                Ok(Err(gone)) => Err(BackendError::unavailable(gone)),
                // The tasks that watch deadlines are in a runtime that stands still.
                Err(_) => {
                    batcher.counts().timed_out(1);
                    let is_waiting = batcher.end_waiting(&question, &runtime);
                    Err(if is_waiting { batcher.not_sent_in_time() } else { CallError::Late(deadline) }.into())
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

    /// Has a task do some work with the server, which it goes on with whether its caller waits or not. A panic in it resumes
    /// where the answer is awaited.
    pub(crate) fn start<T, W>(&self, work: impl FnOnce(Arc<Exchange>) -> W) -> Result<Answer<'static, T>, BackendError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, BackendError>> + Send + 'static,
    {
        self.start_with(work, |panic| resume_unwind(panic))
    }

    /// The same for one part of a call that is about many clients: a panic in it is an error of that part.
    pub(crate) fn start_apart<T, W>(
        &self,
        work: impl FnOnce(Arc<Exchange>) -> W,
    ) -> Result<Answer<'static, T>, BackendError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, BackendError>> + Send + 'static,
    {
        self.start_with(work, |_| BackendError::unavailable("a custom strategy panicked"))
    }

    fn start_with<T, W>(
        &self,
        work: impl FnOnce(Arc<Exchange>) -> W,
        panicked: fn(Box<dyn Any + Send>) -> BackendError,
    ) -> Result<Answer<'static, T>, BackendError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, BackendError>> + Send + 'static,
    {
        let runtime = runtime()?;
        let exchange = Arc::new(Exchange::new(&self.asking, &self.places, self.deadline));
        let (sender, answer) = oneshot::channel();
        let performed = Arc::clone(&exchange).perform(work(Arc::clone(&exchange)), sender);
        let task = runtime.spawn(performed.instrument(Span::current()));
        Ok(MaybeReady::pending(async move { exchange.wait(answer, task, panicked).await }))
    }

    /// Has a task do something to its end, whose calls have deadlines of their own.
    pub(crate) fn finish<T: Send + 'static>(
        work: impl Future<Output = Result<T, BackendError>> + Send + 'static,
    ) -> Result<Answer<'static, T>, BackendError> {
        let task = runtime()?.spawn(work.instrument(Span::current()));
        Ok(MaybeReady::pending(async move {
            match task.await {
                Ok(answer) => answer,
                Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
                Err(ended) => Err(BackendError::unavailable(ended)),
            }
        }))
    }

    /// When what begins now has to be answered.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.deadline
    }

    pub(crate) fn too_late(&self) -> BackendError {
        BackendError::Timeout(self.deadline)
    }

    pub(crate) fn close(&self) {
        // Not behind other calls, which may be what there is to be let go of.
        self.asking.client.close();
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.asking.counts
    }

    pub(crate) fn stats(&self) -> RedisStats {
        RedisStats::new(self.counts(), self.asking.client.health())
    }

    #[cfg(feature = "test")]
    pub(crate) fn clock(&self) -> AnyClock {
        self.asking.time.clock()
    }
}

/// The same error for everybody whose question was in a call.
fn failed(error: Arc<CallError>) -> BackendError {
    match *error {
        CallError::Closed => BackendError::Closed,
        CallError::Late(deadline) => BackendError::Timeout(deadline),
        _ if error.surely_did_not_run() => BackendError::not_run(error),
        _ => BackendError::unavailable(error),
    }
}

/// Calls are made by tasks.
fn runtime() -> Result<Handle, BackendError> {
    Handle::try_current().map_err(|_| BackendError::unavailable("Redis is asked within a Tokio runtime"))
}
