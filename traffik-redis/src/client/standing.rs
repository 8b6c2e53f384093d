//! Whether there is a connection, for those who want to know and those who have to wait.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use super::{CallError, said::Said};

pub(super) struct Standing {
    phase: watch::Sender<Phase>,
    said: Mutex<Said>,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// It is being made for the first time.
    Starting,
    Up,
    Down(Arc<str>),
}

impl Standing {
    pub(super) fn new() -> Self {
        Self { phase: watch::Sender::new(Phase::Starting), said: Mutex::default() }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Up)
    }

    pub(super) fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(super) fn up(&self) {
        self.phase.send_replace(Phase::Up);
        if self.said().is_over() {
            tracing::info!("Redis is there again");
        }
    }

    pub(super) fn down(&self, why: impl Into<Arc<str>>) {
        let why = why.into();
        self.phase.send_replace(Phase::Down(Arc::clone(&why)));
        if self.said().is_news(&why) {
            tracing::warn!("no connection to Redis, which is tried again until there is one: {why}");
        }
    }

    /// It is as if there had never been a connection.
    pub(super) fn start_again(&self) {
        self.phase.send_replace(Phase::Starting);
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn close(&self) {
        self.phase.send_replace(Phase::Down("it was closed".into()));
    }

    /// Ends once there is a connection, or it is known that there is none. Only the first attempt is waited for.
    pub(super) async fn ready(&self, patience: Duration) -> Result<(), CallError> {
        if self.is_up() {
            return Ok(());
        }
        let mut phases = self.phases();
        let started = phases.wait_for(|phase| !matches!(phase, Phase::Starting));
        let phase = match timeout(patience, started).await {
            Ok(Ok(phase)) => phase.clone(),
            Ok(Err(_)) => return Err(CallError::Closed),
            Err(_) => return Err(CallError::NotRun("there is no connection yet".into())),
        };
        match phase {
            Phase::Down(why) => Err(CallError::NotRun(format!("there is no connection: {why}").into())),
            Phase::Up | Phase::Starting => Ok(()),
        }
    }
}
