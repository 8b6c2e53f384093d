use std::time::Duration;

use tokio::sync::watch;

use super::{AnyClock, Clock, Timestamp};

/// A clock that moves only when a test moves it.
///
/// Clones are the same clock. Tasks that sleep on it wake when it is moved far enough. It starts at a whole number of weeks
/// after the Unix epoch (the start of Thursday, 2025-01-02, UTC), where the windows of every usual rate begin.
///
/// ```
/// use std::time::Duration;
/// use traffik::{clock::Clock, test::ManualClock};
///
/// let clock = ManualClock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_millis(1500));
/// assert_eq!(clock.now().saturating_since(before), Duration::from_millis(1500));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
}

impl ManualClock {
    /// Creates a clock at the start of Thursday, 2025-01-02, UTC.
    #[must_use]
    pub fn new() -> Self {
        Self::at(Timestamp::from_micros(2870 * 7 * 86_400 * 1_000_000))
    }

    /// Creates a clock at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now: watch::Sender::new(now) }
    }

    /// Moves the clock forward.
    pub fn advance(&self, duration: Duration) {
        self.now.send_modify(|now| *now = now.saturating_add(duration));
    }

    /// Sets the clock to `now`, which may be earlier than its time.
    pub fn set(&self, now: Timestamp) {
        self.now.send_replace(now);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let end = self.now().saturating_add(duration);
        // It fails only if the clock is dropped, which `self` prevents.
        let _ = self.now.subscribe().wait_for(|now| *now >= end).await;
    }
}

impl From<ManualClock> for AnyClock {
    fn from(clock: ManualClock) -> Self {
        Self::new(clock)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    #[test]
    fn sleep_ends_at_its_time_and_not_before() {
        let clock = ManualClock::new();
        let mut sleep = pin!(clock.sleep(Duration::from_secs(10)));
        let mut is_over = || sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(!is_over());
        clock.advance(Duration::from_micros(9_999_999));
        assert!(!is_over());
        clock.advance(Duration::from_micros(1));
        assert!(is_over());
    }

    #[tokio::test]
    async fn moving_the_clock_wakes_a_sleeping_task() {
        let clock = ManualClock::new();
        let sleep = clock.sleep(Duration::from_secs(10));
        tokio::join!(biased; sleep, async { clock.advance(Duration::from_secs(10)) });
    }

    #[test]
    fn new_clock_starts_at_the_beginning_of_a_week() {
        let week = 7 * 86_400 * 1_000_000;
        assert_eq!(ManualClock::new().now().as_micros() % week, 0);
    }

    #[test]
    fn clock_can_be_set_back() {
        let clock = ManualClock::new();
        clock.set(Timestamp::from_micros(7));
        assert_eq!(clock.now(), Timestamp::from_micros(7));
    }
}
