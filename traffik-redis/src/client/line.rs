//! What is known of a connection, whichever library drives it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use super::{CallError, Reply, Sent, pulse::Pulse, standing::Standing};

/// One connection, over all the times that it is lost and made again.
pub(super) struct Line {
    standing: Standing,
    pulse: Pulse,
    /// The server answers that it may not write: it was a primary once, and another is by now.
    demoted: Notify,
    given_up: AtomicU64,
    patience: Patience,
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
            greeting: command_timeout.clamp(Duration::from_millis(300), Duration::from_secs(2)),
        }
    }
}

impl Line {
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            standing: Standing::new(),
            pulse: Pulse::new(patience.answer),
            demoted: Notify::new(),
            given_up: AtomicU64::new(0),
            patience,
        }
    }

    #[cfg(feature = "cluster")]
    pub(super) fn patience(&self) -> Patience {
        self.patience
    }

    pub(super) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// How often a connection that the system took for alive was given up.
    pub(super) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
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

    /// Waits until there is a connection, or it is known that there is none.
    pub(super) async fn ready(&self) -> Result<(), CallError> {
        self.standing.ready(self.patience.answer).await
    }

    /// Makes a call if there is a connection, or once there is for the first time.
    ///
    /// Runs in tasks only: a caller that is not polled must not look like a server that does not answer.
    pub(super) async fn call(
        &self,
        sent: &Sent,
        call: impl Future<Output = Result<Reply, CallError>>,
    ) -> Result<Reply, CallError> {
        self.ready().await?;
        let waiting = self.pulse.wait();
        sent.add();
        let answer = timeout(self.patience.answer, call)
            .await
            .unwrap_or_else(|_| Err(CallError::silence(self.patience.answer, sent)));
        match &answer {
            Ok(_) => waiting.answered(),
            Err(CallError::Refused(reason)) => {
                waiting.answered();
                // Inside of a program servers put other words before it.
                if reason.contains("READONLY") {
                    // Not kept for the next connection, which may lead to another server.
                    self.demoted.notify_waiters();
                }
            }
            Err(_) => {}
        }
        if let Err(CallError::NotRun(_) | CallError::Refused(_)) = &answer {
            sent.take_back();
        }
        answer
    }
}
