use std::time::Duration;

/// The only place where durations of connections and calls are derived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For an answer to a call.
    pub(super) answer: Duration,
    /// For any answer at all while calls wait, until the connection counts as dead.
    pub(super) silence: Duration,
    /// For the commands before the first call, and for the system to acknowledge what was written.
    pub(super) handshake: Duration,
    /// For the system, and TLS, to connect.
    pub(super) attempt: Duration,
    /// For one server to say where the slots are. Another may be quicker.
    #[cfg(feature = "cluster")]
    pub(super) topology: Duration,
}

impl Timeouts {
    /// For connecting, all steps together. Longer than one attempt, so that its error is the one that is reported.
    pub(super) const CONNECT: Duration = Duration::from_secs(5);

    /// How much longer than its caller a call waits: the client counts the answers that arrive late.
    const AFTERWARDS: Duration = Duration::from_secs(1);

    pub(super) fn new(command_timeout: Duration) -> Self {
        let handshake = command_timeout.clamp(Duration::from_millis(300), Duration::from_secs(2));
        Self {
            answer: command_timeout.saturating_add(Self::AFTERWARDS),
            silence: command_timeout.saturating_mul(3).max(Duration::from_millis(150)),
            handshake,
            attempt: handshake.max(Duration::from_secs(1)),
            #[cfg(feature = "cluster")]
            topology: handshake.max(Duration::from_millis(500)),
        }
    }
}
