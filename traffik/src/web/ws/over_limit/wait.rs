use std::time::Duration;

/// Holds the message until there is room, and then passes it on. The messages of all connections of a client are passed on in the
/// order in which they came: see [`Limiter::wait`](crate::Limiter::wait).
///
/// While it holds a message, the socket reads at most one more, so TCP slows the client down. Pings are still answered, and
/// the end of the connection is noticed. A message that would wait too long, or that can never be admitted, is treated as with
/// [`Notify`](super::Notify).
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
    /// Sets the maximum time, by the app's clock.
    pub const fn up_to(longest: Duration) -> Self {
        Self { longest }
    }
}
