use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use super::{Clock, SystemClock, Timestamp};

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
