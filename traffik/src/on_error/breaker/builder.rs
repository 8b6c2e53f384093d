use std::time::Duration;

use traffik_core::{OutOfRange, clock::AnyClock};

use super::{circuit_breaker::CircuitBreaker, state::Settings};

/// Sets up a [`CircuitBreaker`]: see [`CircuitBreaker::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct CircuitBreakerBuilder {
    settings: Settings,
    clock: AnyClock,
}

impl CircuitBreaker {
    /// Creates a closed breaker with the defaults, which are those of [`builder`](Self::builder).
    #[must_use]
    pub fn new() -> Self {
        let CircuitBreakerBuilder { settings, clock } = Self::builder();
        Self::with(settings, clock)
    }

    /// Creates a builder for a breaker with other settings.
    pub fn builder() -> CircuitBreakerBuilder {
        let settings = Settings {
            failure_threshold: CircuitBreakerBuilder::DEFAULT_FAILURE_THRESHOLD.into(),
            recovery_timeout: CircuitBreakerBuilder::DEFAULT_RECOVERY_TIMEOUT,
            success_threshold: CircuitBreakerBuilder::DEFAULT_SUCCESS_THRESHOLD.into(),
        };
        CircuitBreakerBuilder { settings, clock: AnyClock::system() }
    }
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::new()
    }
}

impl CircuitBreakerBuilder {
    /// The default of [`failure_threshold`](Self::failure_threshold).
    pub const DEFAULT_FAILURE_THRESHOLD: u32 = 10;
    /// The default of [`recovery_timeout`](Self::recovery_timeout).
    pub const DEFAULT_RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);
    /// The default of [`success_threshold`](Self::success_threshold).
    pub const DEFAULT_SUCCESS_THRESHOLD: u32 = 3;

    /// Sets the number of consecutive failures that opens the breaker, which is at least 1. Defaults to 10.
    pub fn failure_threshold(mut self, failures: u32) -> Self {
        self.settings.failure_threshold = failures.into();
        self
    }

    /// Sets how long the breaker stays open before it makes calls again. Defaults to 60 s.
    ///
    /// A [half-open](super::BreakerState::HalfOpen) breaker waits as long for a result of its trials before it makes new ones.
    pub fn recovery_timeout(mut self, timeout: Duration) -> Self {
        self.settings.recovery_timeout = timeout;
        self
    }

    /// Sets the number of successful trials that closes the breaker, which is at least 1. Defaults to 3. The breaker makes no
    /// more trials at a time.
    pub fn success_threshold(mut self, successes: u32) -> Self {
        self.settings.success_threshold = successes.into();
        self
    }

    /// Sets the clock. Defaults to the system's. A breaker in front of a backend reads the app's clock.
    pub fn clock(self, clock: impl Into<AnyClock>) -> Self {
        Self { clock: clock.into(), ..self }
    }

    /// Creates the breaker, which is closed.
    ///
    /// # Errors
    ///
    /// Returns an error if a threshold is 0.
    pub fn build(self) -> Result<CircuitBreaker, OutOfRange> {
        let Settings { failure_threshold, success_threshold, .. } = self.settings;
        OutOfRange::check("CircuitBreakerBuilder::failure_threshold", failure_threshold, 1..=u64::MAX)?;
        OutOfRange::check("CircuitBreakerBuilder::success_threshold", success_threshold, 1..=u64::MAX)?;
        Ok(CircuitBreaker::with(self.settings, self.clock))
    }
}
