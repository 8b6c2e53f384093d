//! The clock for decisions, deadlines and delays.
//!
//! A strategy never reads a clock: the time is an argument. The memory backend reads its [`Clock`] once per decision. If another
//! thread has decided about the client at a later time before it is its turn, it reads the clock again.
//!
//! Use [`SystemClock`] in production. In tests, use [`ManualClock`]: it moves only when the test moves it, and everything that
//! waits waits by it.

mod manual;
mod system;

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use self::{manual::ManualClock, system::SystemClock};

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

/// Any [`Clock`]. Clones share it. The system's clock is read without a virtual call.
#[derive(Clone)]
pub struct AnyClock(Kind);

#[derive(Clone)]
enum Kind {
    System(SystemClock),
    Own(Arc<dyn ErasedClock>),
}

/// [`Clock`] with a boxed future, for trait objects.
trait ErasedClock: fmt::Debug + Send + Sync {
    fn now(&self) -> Timestamp;
    fn wall_clock(&self) -> Timestamp;
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<C: Clock> ErasedClock for C {
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }

    fn wall_clock(&self) -> Timestamp {
        Clock::wall_clock(self)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Clock::sleep(self, duration))
    }
}

impl AnyClock {
    /// Returns the machine's clock: see [`SystemClock`].
    #[must_use]
    pub fn system() -> Self {
        Self(Kind::System(SystemClock::new()))
    }

    /// Wraps a custom clock.
    #[must_use]
    pub fn new(clock: impl Clock) -> Self {
        Self(Kind::Own(Arc::new(clock)))
    }

    /// Returns the time.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System(clock) => Clock::now(clock),
            Kind::Own(clock) => clock.now(),
        }
    }

    /// Returns the time of day: see [`Clock::wall_clock`].
    #[must_use]
    pub fn wall_clock(&self) -> Timestamp {
        match &self.0 {
            Kind::System(clock) => Clock::wall_clock(clock),
            Kind::Own(clock) => clock.wall_clock(),
        }
    }

    /// Waits until `duration` has passed on this clock.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Kind::System(clock) => Clock::sleep(clock, duration).await,
            Kind::Own(clock) => clock.sleep(duration).await,
        }
    }

    /// Waits until `duration` has passed on this clock. On the machine's clock it needs no timer of a runtime.
    pub async fn sleep_on_any_runtime(&self, duration: Duration) {
        match &self.0 {
            Kind::System(_) => futures_timer::Delay::new(duration).await,
            Kind::Own(clock) => clock.sleep(duration).await,
        }
    }
}

impl fmt::Debug for AnyClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::System(clock) => clock.fmt(f),
            Kind::Own(clock) => clock.fmt(f),
        }
    }
}

/// A point in time: whole microseconds since the Unix epoch.
///
/// ```
/// use std::time::Duration;
/// use traffik::clock::Timestamp;
///
/// let noon = Timestamp::from_micros(43_200_000_000);
/// assert_eq!(noon.saturating_add(Duration::from_secs(1)).as_micros(), 43_201_000_000);
/// assert_eq!(noon.to_string(), "1970-01-01T12:00:00.000000Z");
/// assert_eq!(noon.saturating_since(Timestamp::UNIX_EPOCH), Duration::from_secs(43_200));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The Unix epoch, 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(0);

    /// Creates the time `micros` microseconds after the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Returns the time `duration` later. Drops what is less than a microsecond.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(whole_micros(duration)))
    }

    /// Returns the time since `earlier`, or zero if `earlier` is later.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// Shows the date and the time in UTC (RFC 3339), or the microseconds beyond the year 9999.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const YEAR_10_000: Timestamp = Timestamp(253_402_300_800_000_000);
        match SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(self.0)) {
            Some(time) if *self < YEAR_10_000 => humantime::format_rfc3339_micros(time).fmt(f),
            _ => write!(f, "{}us after 1970-01-01T00:00:00Z", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({}us)", self.0)
    }
}

/// Returns the whole microseconds in `duration`, or `u64::MAX` beyond half a million years.
fn whole_micros(duration: Duration) -> u64 {
    duration.as_micros().try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_stops_at_the_end_of_time() {
        assert_eq!(Timestamp(5).saturating_add(Duration::MAX), Timestamp(u64::MAX));
        assert_eq!(Timestamp(5).saturating_add(Duration::from_nanos(1999)), Timestamp(6));
    }

    #[test]
    fn any_timestamp_can_be_shown() {
        assert_eq!(Timestamp(253_402_300_799_999_999).to_string(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp(253_402_300_800_000_000).to_string(), "253402300800000000us after 1970-01-01T00:00:00Z");
        assert!(Timestamp(u64::MAX).to_string().starts_with("18446744073709551615us"));
    }

    #[test]
    fn time_since_a_later_timestamp_is_zero() {
        assert_eq!(Timestamp(5).saturating_since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(9).saturating_since(Timestamp(5)), Duration::from_micros(4));
    }
}
