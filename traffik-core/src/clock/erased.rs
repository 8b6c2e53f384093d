use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use super::{Clock, SystemClock, Timestamp};

/// Any [`Clock`], shared: cheap to clone, and without a virtual call where it is the system's.
#[derive(Clone)]
pub struct AnyClock(Kind);

#[derive(Clone)]
enum Kind {
    System(SystemClock),
    Own(Arc<dyn ErasedClock>),
}

/// [`Clock`] with its future boxed, so that it can be called through a pointer.
trait ErasedClock: fmt::Debug + Send + Sync {
    fn now(&self) -> Timestamp;
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<C: Clock> ErasedClock for C {
    fn now(&self) -> Timestamp {
        Clock::now(self)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Clock::sleep(self, duration))
    }
}

impl AnyClock {
    /// The machine's clock: see [`SystemClock`].
    #[must_use]
    pub fn system() -> Self {
        Self(Kind::System(SystemClock::new()))
    }

    /// A clock of your own.
    #[must_use]
    pub fn new(clock: impl Clock) -> Self {
        Self(Kind::Own(Arc::new(clock)))
    }

    /// The time now.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::System(clock) => Clock::now(clock),
            Kind::Own(clock) => clock.now(),
        }
    }

    /// Ends when `duration` has passed on this clock.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Kind::System(clock) => Clock::sleep(clock, duration).await,
            Kind::Own(clock) => clock.sleep(duration).await,
        }
    }

    /// Ends when `duration` has passed on this clock. The machine's clock then needs no timer of a runtime.
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
