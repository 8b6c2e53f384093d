use std::{
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

use super::{Clock, Timestamp};

/// The machine's monotonic clock, anchored to wall time once.
///
/// It never goes back, whatever is done to the wall clock: the wall time is read when the first of these clocks is
/// made in a process, and from then on only the monotonic clock is. All of a process agree on the anchor. A read is
/// one call of the operating system's monotonic clock, without a switch to the kernel on the usual platforms.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    anchor: Anchor,
}

#[derive(Clone, Copy, Debug)]
struct Anchor {
    instant: Instant,
    wall: Timestamp,
}

impl SystemClock {
    /// The clock of this process.
    #[must_use]
    pub fn new() -> Self {
        static ANCHOR: OnceLock<Anchor> = OnceLock::new();
        Self { anchor: *ANCHOR.get_or_init(Anchor::now) }
    }
}

impl Anchor {
    fn now() -> Self {
        // A wall clock that stands before 1970 is read as 1970: windows are then aligned to the start of the process.
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { instant: Instant::now(), wall: Timestamp::UNIX_EPOCH.saturating_add(since_epoch) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.anchor.wall.saturating_add(self.anchor.instant.elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_near_the_wall_clock_and_does_not_go_back() {
        let clock = SystemClock::new();
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let first = clock.now();
        let apart = first.as_micros().abs_diff(u64::try_from(wall.as_micros()).unwrap());
        assert!(apart < 60_000_000, "a minute apart: {apart}us");
        assert!((0..1000).map(|_| clock.now()).is_sorted());
    }

    #[test]
    fn all_clocks_of_a_process_share_one_anchor() {
        assert_eq!(SystemClock::new().anchor.instant, SystemClock::new().anchor.instant);
    }
}
