use std::time::Duration;

/// Holds the message until there is room, and then passes it on.
///
/// Nothing is read behind a message that is held, so a client that goes on sending is slowed down by TCP. One more message is
/// looked for, so that pings are answered and the end of the connection is seen. A message that would have to wait for longer
/// than allowed is treated as with [`Notify`](super::Notify). So is one that can never be admitted.
///
/// ```
/// use std::time::Duration;
/// use traffik::web::ws::over_limit::Wait;
///
/// let wait = Wait::up_to(Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Wait {
    pub(in crate::web::ws) longest: Duration,
}

impl Wait {
    /// For no longer than this, by the app's clock.
    pub const fn up_to(longest: Duration) -> Self {
        Self { longest }
    }
}
