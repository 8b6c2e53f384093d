use std::{
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use super::{Clock, Timestamp};

/// The machine's monotonic clock, anchored to wall time once.
///
/// It does not go back, whatever is done to the wall clock: the wall time is read when the first of these clocks is made in
/// a process, and from then on only the monotonic clock is. All of a process agree on the anchor. (Two threads that read it
/// at the same instant may differ by a microsecond.)
///
/// Reading the operating system's clock can take as long as a whole decision, so between two looks at it, a hundredth of a
/// second apart, time is taken from the processor's counter (by the crate [`quanta`], which asks the operating system where
/// the processor does not promise that its counter ticks evenly). It is made to run slow by a four-thousandth, more than a
/// counter is usually off, so that a look sets it forward by a few microseconds. A counter that jumps, as some do when a
/// machine was suspended or moved, is noticed at once, by the look that it leads to.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    ticker: &'static Ticker,
}

#[derive(Debug)]
struct Ticker {
    counter: quanta::Clock,
    started_at: Instant,
    started_at_wall: u64,
    /// What is added to the microseconds on the counter. It wraps around where the counter has jumped.
    ahead: AtomicU64,
    /// The microseconds on the counter when the operating system's clock was looked at.
    last_look: AtomicU64,
    /// Held by who looks.
    looking: Mutex<()>,
}

/// How often the operating system's clock is looked at, in microseconds.
const LOOK_EVERY: u64 = 10_000;

/// By how many microseconds the counter may run ahead of the operating system's clock before it is taken for a jump.
const MOST_AHEAD: u64 = 1000;

/// Microseconds of 1000 nanoseconds and a four-thousandth of that, by which the counter runs slow: in a nanosecond, as a
/// share of 2^64.
const MICROS_IN_A_NANO: u64 = (1 << 63) / 1000 * 2 / 4097 * 4096;

impl SystemClock {
    /// The clock of this process.
    #[must_use]
    pub fn new() -> Self {
        static TICKER: LazyLock<Ticker> = LazyLock::new(|| Ticker::start(quanta::Clock::new()));
        Self { ticker: &TICKER }
    }
}

impl Ticker {
    fn start(counter: quanta::Clock) -> Self {
        // A wall clock that stands before 1970 is read as 1970: windows are then aligned to the start of the process.
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let wall = Timestamp::UNIX_EPOCH.saturating_add(since_epoch).as_micros();
        let micros = micros_on(&counter);
        Self {
            counter,
            started_at: Instant::now(),
            started_at_wall: wall,
            ahead: AtomicU64::new(wall.wrapping_sub(micros)),
            last_look: AtomicU64::new(micros),
            looking: Mutex::new(()),
        }
    }

    #[inline]
    fn now(&self) -> Timestamp {
        let micros = micros_on(&self.counter);
        // A counter that went back is far from the last look as well.
        if micros.wrapping_sub(self.last_look.load(Relaxed)) >= LOOK_EVERY {
            return self.look();
        }
        Timestamp::from_micros(self.ahead.load(Relaxed).wrapping_add(micros))
    }

    /// Looks at the operating system's clock, and goes forward to it.
    #[cold]
    fn look(&self) -> Timestamp {
        let _looking = self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        // In this order: whatever comes between makes the counter's time larger, and so sets it less forward.
        let wall = self.started_at_wall.saturating_add(micros_in(self.started_at.elapsed()));
        let micros = micros_on(&self.counter);
        let (ahead, last_look) = (self.ahead.load(Relaxed), self.last_look.load(Relaxed));
        let by_counter = ahead.wrapping_add(micros);
        let now = if by_counter.wrapping_sub(wall) <= MOST_AHEAD { by_counter } else { wall };
        // What was told at the last look is not taken back, even where the counter has jumped.
        let now = now.max(ahead.wrapping_add(last_look));
        self.ahead.store(now.wrapping_sub(micros), Relaxed);
        self.last_look.store(micros, Relaxed);
        Timestamp::from_micros(now)
    }
}

/// Microseconds on the counter.
#[inline]
fn micros_on(counter: &quanta::Clock) -> u64 {
    let nanos = counter.delta_as_nanos(0, counter.raw());
    ((u128::from(nanos) * u128::from(MICROS_IN_A_NANO)) >> 64) as u64
}

fn micros_in(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
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
    fn a_counter_that_jumps_neither_takes_time_back_nor_stops_it() {
        let (counter, count) = quanta::Clock::mock();
        let seconds = |seconds: u64| Duration::from_secs(seconds);
        count.increment(seconds(3600));
        let ticker = Ticker::start(counter);
        let first = ticker.now();
        let goes_on = |before: Timestamp| {
            let now = ticker.now();
            assert!(now >= before && now.saturating_since(first) < seconds(60), "{before:?} {now:?}");
            std::thread::sleep(Duration::from_millis(2));
            count.increment(seconds(1));
            let later = ticker.now();
            assert!(later.saturating_since(now) >= Duration::from_millis(2), "{now:?} {later:?}");
            later
        };
        // An hour ahead; then back to before the start, as after the machine was suspended.
        count.increment(seconds(3600));
        let later = goes_on(first);
        count.decrement(seconds(7000));
        goes_on(later);
    }

    #[test]
    fn all_clocks_of_a_process_share_one_anchor() {
        assert!(std::ptr::eq(SystemClock::new().ticker, SystemClock::new().ticker));
    }
}
