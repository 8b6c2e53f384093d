use std::sync::Arc;

use traffik_core::backend::Backend;

use super::{breaker::CircuitBreaker, retry::Retry};

/// Asks another backend when the first does not answer.
///
/// Every request asks the first backend, and waits for it. [`Failover`] stops asking a backend that keeps failing.
///
/// # A fallback in memory limits each process
///
/// With Redis, one limit applies to all processes. With a [`MemoryBackend`](crate::backend::MemoryBackend) as the fallback,
/// it applies to each process: 20 processes together admit 20 times as much while Redis does not answer.
/// [`share`](Self::share) divides the limits among the processes.
///
/// The fallback starts empty: it does not know which clients were at their limit. A client that the fallback refused stays
/// refused until its wait has ended, also when the first backend decides again.
///
/// ```
/// use traffik::{MemoryBackend, Traffik, on_error::Fallback};
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
    pub(super) share: u64,
}

impl Fallback {
    /// Creates a fallback to `backend`. The app clears and closes it together with its own backends.
    pub fn to(backend: impl Backend) -> Self {
        Self { backend: Arc::new(backend), share: 1 }
    }

    /// Divides every limit by this number of processes while the fallback decides, which is at least 1. Defaults to 1.
    ///
    /// A limit of 100 among 20 processes is 5. It is never below 1. A request that costs more than the share costs all of the
    /// share. A request that costs more than the whole limit is refused as always. A burst size of a strategy is not divided.
    pub fn share(self, processes: u32) -> Self {
        Self { share: processes.into(), ..self }
    }
}

/// Asks another backend when the first does not answer, and stops asking the first once it failed too often.
///
/// A [`CircuitBreaker`] stands in front of the first backend. While it is open, no request waits for that backend: the
/// fallback decides, without waiting if it is in memory. After the recovery timeout a few requests try the first backend,
/// while the fallback decides about the others. Once they succeeded, the first backend decides again.
///
/// What [`Fallback`] says about a fallback in memory applies here too.
///
/// ```
/// use std::time::Duration;
/// use traffik::{MemoryBackend, Traffik, breaker::CircuitBreaker, on_error::Failover};
///
/// # let redis = MemoryBackend::new("myapp");
/// let breaker = CircuitBreaker::builder()
///     .failure_threshold(10)
///     .recovery_timeout(Duration::from_secs(60))
///     .success_threshold(3)
///     .build()?;
/// let traffik = Traffik::builder(redis)
///     .on_error(Failover::to(MemoryBackend::new("myapp:fallback")).breaker(breaker.clone()).retries(2))
///     .build()?;
/// // Elsewhere, `breaker.status()` returns its state and counters.
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
    /// Creates a failover to `backend`. The app clears and closes it together with its own backends.
    pub fn to(backend: impl Backend) -> Self {
        Self { fallback: Fallback::to(backend), breaker: CircuitBreaker::new(), retry: Retry::NEVER }
    }

    /// Sets the breaker in front of the first backend. Defaults to [`CircuitBreaker::new`]. It reads the clock of the app.
    ///
    /// Each other backend that [throttles select](crate::TraffikBuilder::backend) has a breaker of its own with the same
    /// settings.
    pub fn breaker(self, breaker: CircuitBreaker) -> Self {
        Self { breaker, ..self }
    }

    /// Sets how often the first backend is asked again before the fallback decides. Defaults to 0. See [`Retry`].
    ///
    /// The breaker counts the request once.
    pub fn retries(self, times: u32) -> Self {
        self.retry(Retry::times(times))
    }

    /// Sets how often, and after which pauses, the first backend is asked again before the fallback decides.
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// Divides every limit by this number of processes while the fallback decides: see [`Fallback::share`].
    pub fn share(self, processes: u32) -> Self {
        Self { fallback: self.fallback.share(processes), ..self }
    }
}
