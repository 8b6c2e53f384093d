use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};

use super::{CallError, outage_log::OutageLog};

/// The status of a connection.
pub(super) struct Status {
    phase: watch::Sender<Phase>,
    log: Mutex<OutageLog>,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The first attempt is under way.
    Starting,
    Up,
    Down(Arc<str>),
}

impl Status {
    pub(super) fn new() -> Self {
        Self { phase: watch::Sender::new(Phase::Starting), log: Mutex::default() }
    }

    pub(super) fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Up)
    }

    #[cfg(feature = "cluster")]
    pub(super) fn is_down(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Down(_))
    }

    /// Sets the phase without logging it.
    pub(super) fn set(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(super) fn up(&self) {
        self.set(Phase::Up);
        if self.log().end() {
            tracing::info!("connected to Redis again");
        }
    }

    pub(super) fn down(&self, why: &str) {
        self.set(Phase::Down(why.into()));
        if self.log().is_first(why) {
            tracing::warn!("no connection to Redis, reconnecting until it succeeds: {why}");
        }
    }

    fn log(&self) -> MutexGuard<'_, OutageLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the first attempt has ended.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no connection. Waits only for the first attempt.
    pub(super) async fn ready(&self, within: Duration) -> Result<(), CallError> {
        if self.is_up() {
            return Ok(());
        }
        let mut phases = self.phases();
        let started = phases.wait_for(|phase| !matches!(phase, Phase::Starting));
        match timeout(within, started).await.map(|phase| phase.map(|phase| phase.clone())) {
            Ok(Ok(Phase::Down(why))) => Err(CallError::NotRun(format!("there is no connection: {why}").into())),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(CallError::Closed),
            Err(_) => Err(CallError::NotRun("there is no connection yet".into())),
        }
    }
}
