use std::{num::NonZeroU64, sync::Arc};

use traffik_core::backend::Backend;

use super::Retry;
use crate::on_error::breaker::CircuitBreaker;

/// Decides in another backend when the first gives no answer.
///
/// The first is asked each time, and each request waits for it. A [`Failover`] stops asking what fails again and again.
///
/// # A local fallback is a limit for each process
///
/// Behind Redis one limit holds for all processes. A [`MemoryBackend`](crate::backend::MemoryBackend) as the fallback is one for each of them:
/// twenty processes admit twenty times as much while Redis is away. Where that is too much, [`share`](Self::share) says among
/// how many the limits are divided.
///
/// It starts empty: who is at his limit in the first backend is not in the other. Who was refused by the fallback, though, stays
/// refused until his wait has ended, also when the first backend decides again.
///
/// ```
/// use traffik::{Traffik, backend::MemoryBackend, on_error::Fallback};
///
/// # let redis = MemoryBackend::new("myapp");
/// let traffik = Traffik::builder(redis)
///     .on_error(Fallback::to(MemoryBackend::new("myapp:fallback")).share(20))
///     .build()?;
/// # Ok::<(), traffik::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Fallback {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) share: NonZeroU64,
}

impl Fallback {
    /// Decides in `backend`, which is cleared and closed with the app.
    pub fn to(backend: impl Backend) -> Self {
        Self { backend: Arc::new(backend), share: NonZeroU64::MIN }
    }

    /// Divides every limit among so many processes, as long as the fallback decides: a limit of 100 among 20 is 5. It is never
    /// below 1. A request that costs more than the part costs all of it, and one that costs more than the whole limit can hold is
    /// refused as ever. The size of a burst that a strategy was given stays.
    pub fn share(self, processes: u32) -> Self {
        Self { share: NonZeroU64::new(processes.into()).unwrap_or(NonZeroU64::MIN), ..self }
    }
}

/// Decides in another backend when the first gives no answer, and stops asking the first once it failed too often.
///
/// A [`CircuitBreaker`] stands before the first backend. While it is open no request waits for that one: the fallback
/// decides, at once if it is in memory. When the recovery timeout has passed a few requests try the first backend, and the fallback decides
/// about all others meanwhile. Once they succeeded the first backend decides again.
///
/// What [`Fallback`] says of a fallback in memory holds here too.
///
/// ```
/// use std::time::Duration;
/// use traffik::{Traffik, backend::MemoryBackend, breaker::CircuitBreaker, on_error::Failover};
///
/// # let redis = MemoryBackend::new("myapp");
/// let breaker = CircuitBreaker::new().failure_threshold(10).recovery_timeout(Duration::from_secs(60)).success_threshold(3);
/// let traffik = Traffik::builder(redis)
///     .on_error(Failover::to(MemoryBackend::new("myapp:fallback")).breaker(breaker.clone()).retries(2))
///     .build()?;
/// // .. and elsewhere `breaker.status()` tells how it stands.
/// # Ok::<(), traffik::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Failover {
    pub(super) fallback: Fallback,
    pub(super) breaker: CircuitBreaker,
    pub(super) retry: Retry,
}

impl Failover {
    /// Fails over to `backend`, which is cleared and closed with the app. The breaker is [`CircuitBreaker::new`] unless told
    /// otherwise, and nothing is retried.
    pub fn to(backend: impl Backend) -> Self {
        Self { fallback: Fallback::to(backend), breaker: CircuitBreaker::new(), retry: Retry::NEVER }
    }

    /// Goes by this breaker, but by the app's clock. The other backends of the app that
    /// [throttles name](crate::TraffikBuilder::backend) have breakers of their own that are like it.
    pub fn breaker(self, breaker: CircuitBreaker) -> Self {
        Self { breaker, ..self }
    }

    /// Asks the first backend up to so many times again, as [`Retry`] does, before the fallback decides. The breaker counts
    /// the request once.
    pub fn retries(self, times: u32) -> Self {
        self.retry(Retry::times(times))
    }

    /// The same with pauses of one's own.
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    pub(super) fn with_own_breaker(&self) -> Self {
        Self { breaker: self.breaker.another(), ..self.clone() }
    }

    /// Divides every limit among so many processes, as long as the fallback decides: see [`Fallback::share`].
    pub fn share(self, processes: u32) -> Self {
        Self { fallback: self.fallback.share(processes), ..self }
    }
}
