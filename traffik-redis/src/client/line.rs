//! What is known of a connection, whichever library drives it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use super::{CallError, Reply, pulse::Pulse};

/// One connection, over all the times that it is lost and made again.
pub(super) struct Line {
    phase: watch::Sender<Phase>,
    pulse: Pulse,
    /// The server answers that it may not write: it was a primary once, and another is by now.
    demoted: Notify,
    given_up: AtomicU64,
    patience: Patience,
}

#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// It is being made for the first time.
    Starting,
    Up,
    Down(Arc<str>),
}

/// How long is waited for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For an answer to a call.
    pub(super) answer: Duration,
    /// For any answer at all, until the connection counts as dead.
    pub(super) silence: Duration,
    /// For what the client and the server have to tell one another before the first call.
    pub(super) greeting: Duration,
}

impl Patience {
    /// How much longer than whoever asks the client waits for an answer: as long, it can tell what came of a call that
    /// nobody waits for any more.
    const AFTERWARDS: Duration = Duration::from_secs(1);

    pub(super) fn new(command_timeout: Duration) -> Self {
        Self {
            answer: command_timeout.saturating_add(Self::AFTERWARDS),
            silence: command_timeout.saturating_mul(3).max(Duration::from_millis(150)),
            greeting: command_timeout.max(Duration::from_millis(300)),
        }
    }
}

impl Line {
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            phase: watch::Sender::new(Phase::Starting),
            pulse: Pulse::default(),
            demoted: Notify::new(),
            given_up: AtomicU64::new(0),
            patience,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(*self.phase.borrow(), Phase::Up)
    }

    pub(super) fn phases(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// How often a connection that the system took for alive was given up.
    pub(super) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    pub(super) fn up(&self) {
        if let Phase::Down(_) = self.phase.send_replace(Phase::Up) {
            tracing::info!("Redis is there again");
        }
    }

    pub(super) fn down(&self, why: impl Into<Arc<str>>) {
        let why = why.into();
        let before = self.phase.send_replace(Phase::Down(Arc::clone(&why)));
        // One line for an outage, and not one for each attempt to end it.
        if !matches!(before, Phase::Down(_)) {
            tracing::warn!("no connection to Redis, which is tried again until there is one: {why}");
        }
    }

    pub(super) fn close(&self) {
        self.phase.send_replace(Phase::Down("it was closed".into()));
    }

    /// Ends when the connection has to be given up, though nobody closed it.
    pub(super) async fn fails(&self) -> &'static str {
        let why = tokio::select! {
            () = self.pulse.stops(self.patience.silence) => "calls were not answered any more",
            () = self.demoted.notified() => "the server is a replica by now",
        };
        self.given_up.fetch_add(1, Ordering::Relaxed);
        why
    }

    /// Makes a call if there is a connection, or once there is for the first time.
    pub(super) async fn call(&self, call: impl Future<Output = Result<Reply, CallError>>) -> Result<Reply, CallError> {
        self.ready().await?;
        let waiting = self.pulse.wait();
        let answer =
            timeout(self.patience.answer, call).await.unwrap_or_else(|_| Err(CallError::silence(self.patience.answer)));
        if let Ok(_) | Err(CallError::Refused(_)) = &answer {
            waiting.answered();
        }
        if let Err(CallError::Refused(reason)) = &answer
            && reason.starts_with("READONLY")
        {
            self.demoted.notify_one();
        }
        answer
    }

    async fn ready(&self) -> Result<(), CallError> {
        if self.is_up() {
            return Ok(());
        }
        let mut phases = self.phases();
        let started = phases.wait_for(|phase| !matches!(phase, Phase::Starting));
        let phase = match timeout(self.patience.answer, started).await {
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
