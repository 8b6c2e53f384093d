use std::time::Duration;

use tokio::sync::watch;

use super::{AnyClock, Clock, Timestamp};

/// A clock that stands still until it is moved by hand.
///
/// Clones are the same clock. Whatever sleeps by it wakes when it is moved far enough. It starts at a whole number of
/// weeks after the Unix epoch (the start of Thursday, 2025-01-02, UTC), so that the windows of every usual rate begin
/// there.
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
    /// A clock at the start of Thursday, 2025-01-02, UTC.
    #[must_use]
    pub fn new() -> Self {
        Self::at(Timestamp::from_micros(2870 * 7 * 86_400 * 1_000_000))
    }

    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self { now: watch::Sender::new(now) }
    }

    /// Moves the clock on.
    pub fn advance(&self, duration: Duration) {
        self.now.send_modify(|now| *now = now.saturating_add(duration));
    }

    /// Moves the clock to `now`, which may lie before where it stands.
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
        // It can only fail when the clock is gone, and then nobody is left to move it.
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
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_has_come_and_no_sooner() {
        let clock = ManualClock::new();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(10)).await }
        });
        tokio::task::yield_now().await;

        clock.advance(Duration::from_micros(9_999_999));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());

        clock.advance(Duration::from_micros(1));
        sleeper.await.unwrap();
    }

    #[test]
    fn a_fresh_clock_stands_where_weeks_begin() {
        let week = 7 * 86_400 * 1_000_000;
        assert_eq!(ManualClock::new().now().as_micros() % week, 0);
    }

    #[test]
    fn it_can_be_set_back() {
        let clock = ManualClock::new();
        clock.set(Timestamp::from_micros(7));
        assert_eq!(clock.now(), Timestamp::from_micros(7));
    }
}
