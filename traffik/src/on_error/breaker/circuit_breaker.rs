use std::{fmt, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::sync::watch;
use traffik_core::{OutOfRange, clock::AnyClock};

use super::state::{Attempt, BreakerState, BreakerStatus, Gate, Settings, State};

/// Stops making calls after too many failures, and tries again after a while. Clones share their state.
///
/// While the breaker is closed and nothing fails, it takes no lock and writes nothing.
///
/// ```
/// use std::time::Duration;
/// use traffik::{breaker::{Broken, BreakerState, CircuitBreaker}, test::ManualClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), traffik::OutOfRange> {
/// let clock = ManualClock::new();
/// let breaker = CircuitBreaker::builder()
///     .failure_threshold(2)
///     .recovery_timeout(Duration::from_secs(60))
///     .success_threshold(1)
///     .clock(clock.clone())
///     .build()?;
///
/// for _ in 0..2 {
///     assert_eq!(breaker.call(async { Err::<(), _>("no answer") }).await, Err(Broken::Failed("no answer")));
/// }
/// // The breaker is open: the call is not made.
/// assert_eq!(breaker.call(std::future::pending::<Result<(), &str>>()).await, Err(Broken::Open));
///
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(breaker.call(async { Ok::<_, &str>("an answer") }).await, Ok("an answer"));
/// assert_eq!(breaker.state(), BreakerState::Closed);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CircuitBreaker {
    gate: Arc<Gate>,
    clock: AnyClock,
}

/// Why [`CircuitBreaker::call`] returned no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Broken<E> {
    /// The call was not made: the breaker is open, or half-open with all trials under way.
    #[error("not tried, since too many attempts failed")]
    Open,
    /// The call was made, and failed.
    #[error(transparent)]
    Failed(E),
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

impl CircuitBreaker {
    /// Starts an attempt. Returns `None` if the breaker makes no call now.
    #[must_use]
    pub fn enter(&self) -> Option<Attempt<'_>> {
        self.enter_by(&self.clock)
    }

    /// Returns whether one is a clone of the other.
    pub(in crate::on_error) fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.gate, &other.gate)
    }

    /// Makes a call, if the breaker makes calls now.
    ///
    /// # Errors
    ///
    /// Returns the error of the call, or [`Broken::Open`] if the call was not made.
    pub async fn call<T, E>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, Broken<E>> {
        let attempt = self.enter().ok_or(Broken::Open)?;
        let answer = call.await;
        if answer.is_ok() {
            attempt.succeeded();
        } else {
            attempt.failed();
        }
        answer.map_err(Broken::Failed)
    }

    /// Returns which calls are made. An open breaker becomes half-open with the first attempt after the recovery timeout.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        if self.gate.calm_turn().is_some() { BreakerState::Closed } else { self.status().state }
    }

    /// Returns a snapshot of its state and counters.
    #[must_use]
    pub fn status(&self) -> BreakerStatus {
        self.gate.state.borrow().status()
    }

    /// Returns the changes of its state from now on.
    ///
    /// ```
    /// use traffik::breaker::{BreakerState, CircuitBreaker};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), traffik::OutOfRange> {
    /// let breaker = CircuitBreaker::builder().failure_threshold(1).build()?;
    /// let mut changes = breaker.changes();
    ///
    /// breaker.enter().expect("it is closed").failed();
    /// assert_eq!(changes.next().await, Some(BreakerState::Open));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(self.gate.state.subscribe())
    }

    /// Shows it in metrics as the breaker in front of a backend, unless it is in front of another.
    pub(crate) fn name(&self, backend: &str) {
        self.gate.instruments.name(backend);
    }

    /// Starts an attempt, by this clock.
    #[inline]
    pub(crate) fn enter_by<'a>(&'a self, clock: &'a AnyClock) -> Option<Attempt<'a>> {
        self.gate.show_first();
        Attempt::start(&self.gate, clock)
    }

    /// Creates a closed breaker with the same settings.
    pub(crate) fn another(&self) -> Self {
        Self::with(self.settings(), self.clock.clone())
    }

    fn settings(&self) -> Settings {
        self.gate.state.borrow().settings
    }

    fn with(settings: Settings, clock: AnyClock) -> Self {
        Self { gate: Arc::new(Gate::new(settings)), clock }
    }
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("settings", &self.settings())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// Sets up a [`CircuitBreaker`]: see [`CircuitBreaker::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct CircuitBreakerBuilder {
    settings: Settings,
    clock: AnyClock,
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
    /// A [half-open](BreakerState::HalfOpen) breaker waits as long for a result of its trials before it makes new ones.
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

/// The state changes of a breaker since [`CircuitBreaker::changes`](CircuitBreaker::changes) was called.
///
/// A state that ended before [`next`](Self::next) was called may be skipped.
#[derive(Debug)]
pub struct Changes(watch::Receiver<State>);

impl Changes {
    /// Waits for the next change, and returns the latest state. Returns `None` once the breaker is gone.
    ///
    /// No change is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<BreakerState> {
        self.0.changed().await.ok()?;
        Some(self.0.borrow_and_update().status.state)
    }
}
