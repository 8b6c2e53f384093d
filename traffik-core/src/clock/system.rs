use std::{
    sync::{
        LazyLock, Mutex, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
            fence,
        },
    },
    time::{Duration, Instant, SystemTime},
};

use super::{Clock, Timestamp};

/// The machine's monotonic clock, anchored to wall time once.
///
/// A process reads the wall time when it first uses this clock. After that it reads only the monotonic clock, so a change of
/// the wall clock has no effect. All threads of a process share one clock, and no thread reads an earlier time than another
/// thread has read before, as far as the counters of the processor's cores agree (to a microsecond).
///
/// Reading the operating system's clock can take as long as a whole decision. So this clock reads it once in 10 ms, and adds
/// the time that has passed on the processor's counter. The crate [`quanta`] reads that counter, or the operating system's
/// clock if the processor does not promise an even counter. The counter is slowed down by a four-thousandth, which is more
/// than its usual error. So each reading of the operating system's clock moves this clock forward by a few microseconds.
///
/// A counter may jump when a machine is suspended or moved. If it jumps forward, or back by 10 ms or more, this clock does
/// not go back. It is then at most 10 ms ahead of the operating system's clock, and stops until that clock has caught up. If
/// the counter jumps back by less than 10 ms between two readings, this clock goes back as far.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    ticker: &'static Ticker,
}

/// A seqlock around the last reading of the operating system's clock. Its version is the time of that reading, which only
/// grows.
#[derive(Debug)]
struct Ticker {
    counter: quanta::Clock,
    /// The microseconds of one step of the counter, as a share of 2^64.
    scale: u64,
    started_at: Instant,
    started_at_wall: Timestamp,
    /// The time of the last reading, or [`NO_ANCHOR`] while `ahead` changes or the counter must not be used.
    anchor: AtomicU64,
    /// The difference between that time and the counter's. It wraps around.
    ahead: AtomicU64,
    /// The latest time that a thread may have read. The lock is held during a reading.
    latest: Mutex<u64>,
}

/// How often the operating system's clock is read, in microseconds.
const READ_EVERY: u64 = 10_000;

/// A time that the counter is never near: the year is 294 247.
const NO_ANCHOR: u64 = 1 << 63;

/// The nanoseconds of a microsecond on the counter, which runs slow by a four-thousandth: times 4096.
const NANOS_IN_A_MICRO: u128 = 1000 * 4097;

impl SystemClock {
    /// Returns the clock of this process.
    #[must_use]
    pub fn new() -> Self {
        static TICKER: LazyLock<Ticker> = LazyLock::new(|| Ticker::new(quanta::Clock::new()));
        Self { ticker: &TICKER }
    }
}

impl Ticker {
    fn new(counter: quanta::Clock) -> Self {
        Self {
            scale: scale(&counter),
            counter,
            started_at: Instant::now(),
            started_at_wall: wall_clock(),
            anchor: AtomicU64::new(NO_ANCHOR),
            ahead: AtomicU64::new(0),
            latest: Mutex::new(0),
        }
    }

    #[inline]
    fn now(&self) -> Timestamp {
        self.now_by(|| self.started_at_wall.saturating_add(self.started_at.elapsed()).as_micros())
    }

    /// Returns the time. Calls `system` for the operating system's if the last reading is too old.
    #[inline]
    fn now_by(&self, system: impl FnOnce() -> u64) -> Timestamp {
        Timestamp::from_micros(self.by_counter().unwrap_or_else(|| self.read(system)))
    }

    /// Returns the time by the counter, or `None` if the last reading is too old or another thread reads now.
    #[inline]
    fn by_counter(&self) -> Option<u64> {
        let anchor = self.anchor.load(Acquire);
        let now = self.ahead.load(Acquire).wrapping_add(self.micros());
        // A counter that went back is far from the anchor as well.
        let is_near = now.wrapping_sub(anchor) < READ_EVERY;
        (is_near && self.anchor.load(Relaxed) == anchor).then_some(now)
    }

    /// Reads the operating system's clock, and anchors the counter to it.
    #[cold]
    fn read(&self, system: impl FnOnce() -> u64) -> u64 {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have read it while this one waited for the lock.
        if let Some(now) = self.by_counter() {
            return now;
        }
        // The counter is read last: the time in between puts this clock behind, and not ahead.
        let system = system();
        let micros = self.micros();
        self.anchor.store(NO_ANCHOR, Relaxed);
        if system < *latest {
            // The counter jumped or is too fast.
            return *latest;
        }
        // A reader that sees this `ahead` sees that the anchor has changed.
        fence(Release);
        self.ahead.store(system.wrapping_sub(micros), Relaxed);
        self.anchor.store(system, Release);
        *latest = system + (READ_EVERY - 1);
        system
    }

    /// Returns the microseconds on the counter.
    #[inline]
    fn micros(&self) -> u64 {
        ((u128::from(self.counter.raw()) * u128::from(self.scale)) >> 64) as u64
    }
}

/// Returns the microseconds of one step of a counter, as a share of 2^64. A step takes no longer than a microsecond.
fn scale(counter: &quanta::Clock) -> u64 {
    const STEPS: u32 = 40;
    let nanos = u128::from(counter.delta_as_nanos(0, 1 << STEPS));
    u64::try_from((nanos << (64 - STEPS)) * 4096 / NANOS_IN_A_MICRO).unwrap_or(u64::MAX)
}

/// Returns the time of day. A wall clock before 1970 is read as 1970: windows are then aligned to the start of the process.
fn wall_clock() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::UNIX_EPOCH.saturating_add(since_epoch)
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

    fn wall_clock(&self) -> Timestamp {
        wall_clock()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering::SeqCst},
        },
        thread,
    };

    use super::*;

    #[test]
    fn system_clock_is_near_the_wall_clock_and_does_not_go_back() {
        let clock = SystemClock::new();
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let first = clock.now();
        let apart = first.as_micros().abs_diff(u64::try_from(wall.as_micros()).unwrap());
        assert!(apart < 60_000_000, "a minute apart: {apart}us");
        assert!((0..1000).map(|_| clock.now()).is_sorted());
    }

    #[test]
    fn system_clock_advances_like_the_clock_of_the_operating_system() {
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

    const MILLI: u64 = 1000;
    const HOUR: Duration = Duration::from_secs(3600);

    /// A counter that stands at ten hours, and a clock that was read at the time 0.
    fn ticker() -> (Ticker, Arc<quanta::Mock>) {
        let (counter, count) = quanta::Clock::mock();
        count.increment(HOUR * 10);
        let ticker = Ticker::new(counter);
        assert_eq!(at(&ticker, 0), 0);
        (ticker, count)
    }

    /// Returns the time, if the operating system's is `system`.
    fn at(ticker: &Ticker, system: u64) -> u64 {
        ticker.now_by(|| system).as_micros()
    }

    #[test]
    fn counter_moves_the_clock_between_two_readings() {
        let (ticker, count) = ticker();
        let unread = |ticker: &Ticker| ticker.now_by(|| panic!("the last reading is less than 10 ms old")).as_micros();
        count.increment(Duration::from_millis(9));
        assert!((8990..9000).contains(&unread(&ticker)), "the counter is slowed down by a four-thousandth");
        count.increment(Duration::from_millis(2));
        assert_eq!(at(&ticker, 11 * MILLI), 11 * MILLI);
        assert_eq!(unread(&ticker), 11 * MILLI);
    }

    #[test]
    fn counter_that_jumps_stops_the_clock_until_the_system_has_caught_up() {
        for is_forward in [true, false] {
            let (ticker, count) = ticker();
            count.increment(Duration::from_millis(9));
            let before = at(&ticker, 9 * MILLI);
            let jump = |is_forward| if is_forward { count.increment(HOUR) } else { count.decrement(HOUR) };
            jump(is_forward);
            let stopped = at(&ticker, 9 * MILLI);
            assert!(before <= stopped && stopped < READ_EVERY, "{before} {stopped}");
            jump(!is_forward);
            assert_eq!(at(&ticker, 9 * MILLI), stopped, "the counter is where it was before");
            assert_eq!(at(&ticker, READ_EVERY), READ_EVERY);
            count.increment(Duration::from_millis(3));
            assert!(at(&ticker, 13 * MILLI) > READ_EVERY + 2 * MILLI);
        }
    }

    #[test]
    fn counter_that_is_too_fast_never_runs_far_ahead() {
        let (ticker, count) = ticker();
        let mut last = 0;
        for millis in 1..10_000 {
            count.increment(Duration::from_micros(1500));
            let now = at(&ticker, millis * MILLI);
            assert!(last <= now && (now < millis * MILLI + READ_EVERY), "{last} {now} at {millis} ms");
            last = now;
        }
        assert!(last + READ_EVERY > 9_999 * MILLI);
    }

    #[test]
    fn threads_that_read_a_jumping_counter_see_no_earlier_time_than_others_saw() {
        let (ticker, count) = ticker();
        let (system, latest, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !is_over.load(SeqCst) {
                        let before = latest.load(SeqCst);
                        let now = ticker.now_by(|| system.load(SeqCst)).as_micros();
                        assert!(before <= now && now < system.load(SeqCst) + READ_EVERY, "{before} {now}");
                        latest.fetch_max(now, SeqCst);
                    }
                });
            }
            for round in 0..300_000 {
                count.increment(Duration::from_millis(3));
                system.fetch_add(3 * MILLI, SeqCst);
                match round % 16 {
                    3 => count.increment(HOUR),
                    11 => count.decrement(HOUR),
                    _ => {}
                }
            }
            is_over.store(true, SeqCst);
        });
    }

    #[test]
    fn clocks_of_one_process_share_an_anchor() {
        assert!(std::ptr::eq(SystemClock::new().ticker, SystemClock::new().ticker));
    }
}
