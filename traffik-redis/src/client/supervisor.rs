//! Connects, waits until the connection is no longer usable, and connects again, without end.

use std::{
    collections::hash_map::RandomState,
    error::Error as StdError,
    hash::{BuildHasher, Hasher},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{CallError, timeouts::Timeouts};
use crate::{Error, instruments::OutageLog, lock::lock};

/// Drives a connection. Ends with the reason when the connection is no longer usable. Dropping it closes the
/// connection.
pub(super) type Driver = BoxFuture<'static, String>;

pub(super) type Attempt = Result<Driver, Box<dyn StdError + Send + Sync>>;

/// The target that a supervisor keeps connected.
pub(super) trait Supervised: Send + Sync + 'static {
    fn connect(self: Arc<Self>) -> BoxFuture<'static, Attempt>;

    /// Cleans up after the driver has ended, or has been dropped together with its runtime.
    fn lost(&self) {}
}

pub(super) struct Supervisor {
    target: Arc<dyn Supervised>,
    phase: Arc<watch::Sender<Phase>>,
    timeouts: Timeouts,
    /// The task, once it is started. `None` after `close`, and for connections that the user supervises.
    task: Mutex<Option<JoinSet<()>>>,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The first attempt is under way.
    Starting,
    Up,
    Down(Arc<str>),
}

impl Supervisor {
    pub(super) fn new(target: Arc<dyn Supervised>, timeouts: Timeouts) -> Self {
        let phase = Arc::new(watch::Sender::new(Phase::Starting));
        Self { target, phase, timeouts, task: Mutex::new(Some(JoinSet::new())) }
    }

    /// Leaves the connection to the user, who made it.
    pub(super) fn leave_to_user(&self) {
        self.end(Phase::Up);
    }

    pub(super) fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Up)
    }

    pub(super) fn is_down(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Down(_))
    }

    /// Makes the first attempt in the caller. Starts the task if the attempt succeeds.
    pub(super) async fn connect(&self) -> Result<(), Error> {
        if lock(&self.task).is_none() {
            return Ok(());
        }
        let attempt = timeout(Timeouts::CONNECT, Arc::clone(&self.target).connect()).await;
        let driver = attempt.map_err(|_| Error::Timeout(Timeouts::CONNECT))?.map_err(Error::Connect)?;
        self.start_with(Some(driver));
        Ok(())
    }

    /// Connects in the background, unless the task has started. Starts the task again after its runtime has ended.
    pub(super) fn start(&self) {
        self.start_with(None);
    }

    fn start_with(&self, driver: Option<Driver>) {
        let mut task = lock(&self.task);
        let Some(tasks) = &mut *task else { return };
        if tasks.try_join_next().is_some() {
            self.phase.send_replace(Phase::Starting);
            self.target.lost();
        }
        if tasks.is_empty() {
            tasks.spawn(supervise(Arc::clone(&self.target), Arc::clone(&self.phase), driver));
        }
    }

    /// Starts the task, and waits until there is a connection, or until the first attempt has failed.
    pub(super) async fn ready(&self) -> Result<(), CallError> {
        self.start();
        if self.is_up() {
            return Ok(());
        }
        let mut phases = self.phases();
        let started = phases.wait_for(|phase| !matches!(phase, Phase::Starting));
        match timeout(self.timeouts.answer, started).await.map(|phase| phase.map(|phase| phase.clone())) {
            Ok(Ok(Phase::Down(why))) => Err(CallError::NotRun(format!("there is no connection: {why}").into())),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(CallError::Closed),
            Err(_) => Err(CallError::NotRun("there is no connection yet".into())),
        }
    }

    /// Closes the connection, unless it is the user's. Calls in flight end with an error, and may have run.
    pub(super) fn close(&self) {
        self.end(Phase::Down("the backend was closed".into()));
    }

    fn end(&self, phase: Phase) {
        if lock(&self.task).take().is_some() {
            self.phase.send_replace(phase);
        }
    }
}

async fn supervise(target: Arc<dyn Supervised>, phase: Arc<watch::Sender<Phase>>, mut driver: Option<Driver>) {
    let (mut backoff, mut log) = (Backoff::new(), OutageLog::default());
    loop {
        let attempt = match driver.take() {
            Some(driver) => Ok(driver),
            None => timeout(Timeouts::CONNECT, Arc::clone(&target).connect())
                .await
                .unwrap_or_else(|_| Err(format!("the attempt took longer than {:?}", Timeouts::CONNECT).into())),
        };
        let why = match attempt {
            Ok(driver) => {
                phase.send_replace(Phase::Up);
                if log.end() {
                    tracing::info!("connected to Redis again");
                }
                let connected = Instant::now();
                let why = driver.await;
                target.lost();
                backoff.after(connected.elapsed());
                why
            }
            Err(why) => why.to_string(),
        };
        phase.send_replace(Phase::Down(why.as_str().into()));
        if log.is_first(&why) {
            tracing::warn!("no connection to Redis, reconnecting until it succeeds: {why}");
        }
        sleep(backoff.next()).await;
    }
}

/// The wait before the next attempt. It doubles up to 150 ms, so a server that is back is found soon.
pub(super) struct Backoff(Duration);

impl Backoff {
    const SHORTEST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_millis(150);
    const SETTLED: Duration = Duration::from_secs(1);

    pub(super) fn new() -> Self {
        Self(Self::SHORTEST)
    }

    /// Starts over if the connection lasted for a second.
    fn after(&mut self, lasted: Duration) {
        if lasted > Self::SETTLED {
            *self = Self::new();
        }
    }

    /// Returns the next wait. Adds up to a third at random, so that clients do not all return at the same moment.
    pub(super) fn next(&mut self) -> Duration {
        let wait = self.0;
        self.0 = (2 * wait).min(Self::LONGEST);
        let random = RandomState::new().build_hasher().finish() % 1024;
        wait + wait.mul_f64(random as f64 / 3072.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_bound() {
        let mut backoff = Backoff::new();
        let waits: Vec<_> = (0..100).map(|_| backoff.next()).collect();
        assert!(waits[0] < 2 * Backoff::SHORTEST);
        assert!(waits.iter().all(|&wait| wait <= Backoff::LONGEST.mul_f64(4.0 / 3.0)), "{waits:?}");
        assert!(waits[99] >= Backoff::LONGEST);
    }
}
