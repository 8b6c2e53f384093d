//! The clock for decisions, deadlines and delays.
//!
//! A strategy never reads a clock: the time is an argument. The memory backend reads its [`Clock`] once per decision. If another
//! thread has decided about the client at a later time before it is its turn, it reads the clock again.
//!
//! Use [`SystemClock`] in production. In tests, use [`ManualClock`]: it moves only when the test moves it, and everything that
//! waits waits by it.

mod erased;
mod manual;
mod system;
mod timestamp;

use std::{fmt, time::Duration};

pub use self::{erased::AnyClock, manual::ManualClock, system::SystemClock, timestamp::Timestamp};

/// A source of time, and of delays that end by it.
///
/// # Example
///
/// A clock that runs an hour ahead of another:
///
/// ```
/// use std::time::Duration;
/// use traffik::clock::{Clock, SystemClock, Timestamp};
///
/// #[derive(Debug)]
/// struct AnHourAhead(SystemClock);
///
/// impl Clock for AnHourAhead {
///     fn now(&self) -> Timestamp {
///         self.0.now().saturating_add(Duration::from_secs(3600))
///     }
///
///     async fn sleep(&self, duration: Duration) {
///         self.0.sleep(duration).await;
///     }
/// }
///
/// let clock = AnHourAhead(SystemClock::new());
/// assert!(clock.now() > SystemClock::new().now());
/// ```
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// Returns the time.
    ///
    /// It should not go back. If it does, no limit opens, and no client is refused for longer than the longest refusal of its
    /// strategy. If the clock then jumps forward again, that time has passed for limits too.
    fn now(&self) -> Timestamp;

    /// Returns the time of day, for the times that responses show. It may go back.
    ///
    /// The default implementation returns [`now`](Self::now). Override it if that is not the time of day: [`SystemClock`]
    /// reads the operating system's clock, which may have been set since the process started.
    fn wall_clock(&self) -> Timestamp {
        self.now()
    }

    /// Waits until `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}
