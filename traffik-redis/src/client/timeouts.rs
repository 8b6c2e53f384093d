use std::time::Duration;

/// Derives all durations of connections and calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// The timeout of an answer to a call.
    pub(super) answer: Duration,
    /// How long calls wait without any answer until the connection counts as dead.
    pub(super) silence: Duration,
    /// The timeout of the commands before the first call, and of the system to acknowledge written data.
    pub(super) handshake: Duration,
    /// The timeout of the system, and of TLS, to connect.
    pub(super) attempt: Duration,
    /// The timeout of one server to report the slots. Another server may be quicker.
    pub(super) topology: Duration,
}

impl Timeouts {
    /// The timeout of connecting, all steps together. It is longer than one attempt, so that the error of the attempt
    /// is reported.
    pub(super) const CONNECT: Duration = Duration::from_secs(5);

    /// The interval of the checks for answers while calls wait.
    pub(super) const WATCH: Duration = Duration::from_millis(25);

    /// How long until the slots of a cluster are read again that are not known to be out of date.
    pub(super) const REFRESH: Duration = Duration::from_secs(30);

    /// The same while a primary is down: another server may have its slots by now.
    pub(super) const REFRESH_WHILE_MISSING: Duration = Duration::from_millis(200);

    pub(super) const SHORTEST_REFRESH: Duration = Duration::from_millis(50);

    /// How long after its deadline a call still waits, to count answers that arrive late.
    const AFTERWARDS: Duration = Duration::from_secs(1);

    pub(super) fn new(command_timeout: Duration) -> Self {
        let handshake = command_timeout.clamp(Duration::from_millis(300), Duration::from_secs(2));
        Self {
            answer: command_timeout.saturating_add(Self::AFTERWARDS),
            silence: command_timeout.saturating_mul(3).max(Duration::from_millis(150)),
            handshake,
            attempt: handshake.max(Duration::from_secs(1)),
            topology: handshake.max(Duration::from_millis(500)),
        }
    }
}
