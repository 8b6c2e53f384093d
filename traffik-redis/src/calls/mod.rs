//! How the server is asked: within a deadline, so many calls at a time, and for several callers at once where they would
//! have to wait anyway.

mod asking;
mod counts;
mod gathering;
mod stats;

use std::{pin::Pin, sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::{Semaphore, oneshot},
    time::{Instant, timeout, timeout_at},
};
use traffik::backend::BackendError;
#[cfg(feature = "test")]
use traffik::clock::AnyClock;

pub use self::stats::RedisStats;
use self::{asking::Asking, gathering::Gathering};
pub(crate) use self::{
    asking::{Program, Told},
    counts::Counts,
};
use crate::{
    client::{CallError, Client, Reply},
    question::Question,
    scripts::{Script, Scripts, Time},
};

/// How many calls besides decisions may be under way at once.
const OTHER_CALLS: usize = 64;

/// How many slots a cluster has.
const SLOTS: u16 = 16_384;

/// A call that is not part of whoever asks for it: it goes on without, and the client's futures are deep.
type Call<T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send>>;

/// The calls of one backend.
pub(crate) struct Calls {
    asking: Arc<Asking>,
    deadline: Duration,
    /// Where decisions gather, by their slots.
    gatherings: Box<[Arc<Gathering>]>,
    /// The places of all other calls.
    places: Arc<Semaphore>,
}

impl Calls {
    pub(crate) fn new(client: Client, time: Time, deadline: Duration) -> Self {
        let asking = Arc::new(Asking::new(client, time));
        Self { gatherings: Gathering::all_of(&asking), places: Arc::new(Semaphore::new(OTHER_CALLS)), deadline, asking }
    }

    /// The same way to the same server, by another time.
    #[cfg(feature = "test")]
    pub(crate) fn by(&self, time: Time) -> Self {
        Self::new(self.asking.client.clone(), time, self.deadline)
    }

    /// Decides, in a call of its own or together with others.
    pub(crate) async fn decide(&self, question: Arc<Question>) -> Result<Told, BackendError> {
        runtime()?;
        let gathering = self.gathering(&question).ok_or(BackendError::Closed)?;
        match timeout(self.deadline, gathering.ask(question)).await {
            Ok(answer) => answer.map_err(failed),
            Err(_) => Err(self.too_late()),
        }
    }

    fn gathering(&self, question: &Question) -> Option<&Arc<Gathering>> {
        match &*self.gatherings {
            [only] => Some(only),
            all => all.get(usize::from(question.slot()) * all.len() / usize::from(SLOTS)),
        }
    }

    /// Asks one question in a call of its own. What more there is to say comes after it.
    pub(crate) async fn ask(
        &self,
        program: Program,
        question: Arc<Question>,
        more: Option<Vec<u8>>,
    ) -> Result<Told, BackendError> {
        let asking = Arc::clone(&self.asking);
        self.bounded(Box::pin(async move { asking.ask_one(program, &question, more).await })).await
    }

    /// The same of a program that says something to each hit.
    pub(crate) async fn ask_all(
        &self,
        program: Program,
        question: Arc<Question>,
        more: Option<Vec<u8>>,
    ) -> Result<Vec<Told>, BackendError> {
        let asking = Arc::clone(&self.asking);
        self.bounded(Box::pin(async move { asking.ask(program, std::iter::once(&*question), more).await })).await
    }

    /// Runs a program that is about what is stored, and not about hits.
    pub(crate) async fn run(
        &self,
        program: fn(&Scripts) -> &Script,
        keys: Vec<String>,
        args: Vec<Vec<u8>>,
    ) -> Result<Reply, BackendError> {
        let asking = Arc::clone(&self.asking);
        self.bounded(Box::pin(async move { asking.run(program, &keys, args).await })).await
    }

    /// Several calls, which together take no longer than one may. The last of them may have run when time is up.
    pub(crate) async fn within<T>(
        &self,
        calls: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        self.before(self.until()?, calls).await
    }

    /// Until when all calls of something that begins now have to be answered.
    pub(crate) fn until(&self) -> Result<Instant, BackendError> {
        runtime()?;
        Ok(Instant::now() + self.deadline)
    }

    /// One of these calls.
    pub(crate) async fn before<T>(
        &self,
        until: Instant,
        call: impl Future<Output = Result<T, BackendError>>,
    ) -> Result<T, BackendError> {
        timeout_at(until, call).await.unwrap_or_else(|_| Err(self.too_late()))
    }

    /// Calls of which each has a deadline of its own.
    pub(crate) async fn each<T>(&self, calls: impl Future<Output = Result<T, CallError>>) -> Result<T, BackendError> {
        runtime()?;
        Ok(calls.await?)
    }

    /// Removes keys.
    pub(crate) async fn remove(&self, keys: Vec<String>) -> Result<(), BackendError> {
        let client = self.asking.client.clone();
        self.bounded(Box::pin(async move { client.remove(&keys).await })).await
    }

    /// Runs a call where there is a place for it, to its end even if nobody waits for that any more.
    async fn bounded<T: Send + 'static>(&self, call: Call<T>) -> Result<T, BackendError> {
        let runtime = runtime()?;
        let answer = async {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return Err(CallError::Closed) };
            let (sender, answer) = oneshot::channel();
            let counts = Arc::clone(&self.asking.counts);
            runtime.spawn(async move {
                counts.called();
                let answer = call.await;
                drop(place);
                counts.ended(answer.as_ref().err(), 1);
                if sender.send(answer).is_err_and(|answer| answer.is_ok()) {
                    counts.late(1);
                }
            });
            answer.await.unwrap_or_else(|gone| Err(CallError::InDoubt(gone.into())))
        };
        match timeout(self.deadline, answer).await {
            Ok(answer) => answer.map_err(BackendError::from),
            Err(_) => Err(self.too_late()),
        }
    }

    pub(crate) async fn close(&self) -> Result<(), BackendError> {
        // Not behind other calls, which may be what there is to be let go of.
        Ok(self.asking.client.close().await?)
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

    fn too_late(&self) -> BackendError {
        self.asking.counts.timed_out();
        BackendError::Timeout(self.deadline)
    }
}

/// The same error for everybody whose question was in a call.
fn failed(error: Arc<CallError>) -> BackendError {
    match *error {
        CallError::Closed => BackendError::Closed,
        _ if error.surely_did_not_run() => BackendError::not_run(error),
        _ => BackendError::unavailable(error),
    }
}

/// Calls outlive their callers, as tasks, and so need a runtime.
fn runtime() -> Result<Handle, BackendError> {
    Handle::try_current().map_err(|_| BackendError::unavailable("Redis is asked within a Tokio runtime"))
}
