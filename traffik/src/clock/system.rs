use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Instant, SystemTime},
};

use super::{Clock, Timestamp};

/// The machine's monotonic clock, anchored to wall time once.
///
/// It never goes back, whatever is done to the wall clock: the wall time is read when the first of these clocks is
/// made in a process, and from then on only the monotonic clock is. All of a process agree on the anchor.
///
/// Reading the operating system's clock can take as long as a whole decision, so between two looks at it, some
/// milliseconds apart, time is taken from the processor's counter (by the crate [`quanta`], which falls back to the
/// operating system where the counter does not tick evenly). It is made to run slow by a four-thousandth, more than any
/// counter is off, so that each look sets it forward by a few microseconds, and none has to set it back.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    ticker: &'static Ticker,
}

#[derive(Debug)]
struct Ticker {
    counter: quanta::Clock,
    started_at_count: u64,
    started_at: Instant,
    started_at_wall: Timestamp,
    /// What is added to the microseconds on the counter. It only grows.
    ahead: AtomicU64,
    /// The microseconds on the counter at which the operating system's clock is looked at again.
    next_look: AtomicU64,
}

/// How often the operating system's clock is looked at, in microseconds.
const LOOK_EVERY: u64 = 10_000;

/// Microseconds of 1000 nanoseconds and a four-thousandth of that, by which the counter runs slow: in a nanosecond, as a
/// share of 2^64.
const MICROS_IN_A_NANO: u64 = (1 << 63) / 1000 * 2 / 4097 * 4096;

impl SystemClock {
    /// The clock of this process.
    #[must_use]
    pub fn new() -> Self {
        static TICKER: LazyLock<Ticker> = LazyLock::new(Ticker::start);
        Self { ticker: &TICKER }
    }
}

impl Ticker {
    fn start() -> Self {
        let counter = quanta::Clock::new();
        // A wall clock that stands before 1970 is read as 1970: windows are then aligned to the start of the process.
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let wall = Timestamp::UNIX_EPOCH.saturating_add(since_epoch);
        Self {
            started_at_count: counter.raw(),
            counter,
            started_at: Instant::now(),
            started_at_wall: wall,
            ahead: AtomicU64::new(wall.as_micros()),
            next_look: AtomicU64::new(LOOK_EVERY),
        }
    }

    #[inline]
    fn now(&self) -> Timestamp {
        let mut micros = self.micros();
        if micros >= self.next_look.load(Relaxed) {
            micros = self.look();
        }
        Timestamp::from_micros(self.ahead.load(Relaxed).saturating_add(micros))
    }

    /// Microseconds on the counter since the start.
    #[inline]
    fn micros(&self) -> u64 {
        let nanos = self.counter.delta_as_nanos(self.started_at_count, self.counter.raw());
        ((u128::from(nanos) * u128::from(MICROS_IN_A_NANO)) >> 64) as u64
    }

    /// Looks at the operating system's clock, and goes forward to it.
    #[cold]
    fn look(&self) -> u64 {
        // In this order: whatever comes between makes the counter's time larger, and so sets it less forward.
        let wall = self.started_at_wall.saturating_add(self.started_at.elapsed());
        let micros = self.micros();
        self.next_look.store(micros + LOOK_EVERY, Relaxed);
        self.ahead.fetch_max(wall.as_micros().saturating_sub(micros), Relaxed);
        micros
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Timestamp {
        self.ticker.now()
    }

    async fn sleep(&self, duration: std::time::Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
    fn it_goes_as_the_operating_systems_clock_does() {
        let clock = SystemClock::new();
        let (start, first) = (Instant::now(), clock.now());
        let mut last = first;
        while start.elapsed() < Duration::from_millis(200) {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
        // It is read in between, and may stand still as long as this thread does.
        let before = clock.now().saturating_since(first);
        let elapsed = start.elapsed();
        let after = clock.now().saturating_since(first);
        let off = Duration::from_micros(50);
        assert!(before <= elapsed + off && after + off >= elapsed, "{before:?} {elapsed:?} {after:?}");
    }

    #[test]
    fn all_clocks_of_a_process_share_one_anchor() {
        assert!(std::ptr::eq(SystemClock::new().ticker, SystemClock::new().ticker));
    }
}
