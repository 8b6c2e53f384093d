//! When: the one clock that decisions, deadlines and delays are made by.
//!
//! A strategy never reads a clock; it is told the time. The memory backend asks its [`Clock`] once for a decision,
//! while it holds the state that the decision is about, so that no two threads can see time in different orders.
//!
//! [`SystemClock`] is the one for production. In tests, [`ManualClock`] stands still until
//! it is told to go on, and drives everything that waits as well.

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
    /// The time now.
    ///
    /// It should not go back. Where it does, no limit opens, and no client stays refused for longer than its strategy
    /// refuses anybody at most. If it comes forward again afterwards, that time has passed for limits too.
    fn now(&self) -> Timestamp;

    /// Ends when `duration` has passed on this clock.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}
