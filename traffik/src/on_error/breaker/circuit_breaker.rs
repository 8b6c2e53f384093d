use std::{fmt, sync::Arc, time::Duration};

use thiserror::Error;
use traffik_core::clock::AnyClock;

use super::{
    attempt::Attempt,
    changes::Changes,
    gate::Gate,
    state::{BreakerState, BreakerStatus, Settings},
};

/// Stops making calls after too many failures, and tries again after a while. Clones share their state.
///
/// While the breaker is closed and nothing fails, it takes no lock and writes nothing.
///
/// ```
/// use std::time::Duration;
/// use traffik::{breaker::{Broken, BreakerState, CircuitBreaker}, test::ManualClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let clock = ManualClock::new();
/// let breaker = CircuitBreaker::new()
///     .failure_threshold(2)
///     .recovery_timeout(Duration::from_secs(60))
///     .success_threshold(1)
///     .clock(clock.clone());
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
/// # }
/// ```
#[derive(Clone)]
pub struct CircuitBreaker {
    gate: Arc<Gate>,
    clock: AnyClock,
}

/// Why [`CircuitBreaker::call`] returned no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Broken<E> {
    /// The call was not made: the breaker is open, or half-open with all trials under way.
    #[error("not tried, since too many attempts failed")]
    Open,
    /// The call was made, and failed.
    #[error(transparent)]
    Failed(E),
}

impl CircuitBreaker {
    /// The default of [`failure_threshold`](Self::failure_threshold).
    pub const DEFAULT_FAILURE_THRESHOLD: u32 = 10;
    /// The default of [`recovery_timeout`](Self::recovery_timeout).
    pub const DEFAULT_RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);
    /// The default of [`success_threshold`](Self::success_threshold).
    pub const DEFAULT_SUCCESS_THRESHOLD: u32 = 3;

    /// Creates a closed breaker with the defaults.
    #[must_use]
    pub fn new() -> Self {
        let settings = Settings {
            failure_threshold: Self::DEFAULT_FAILURE_THRESHOLD.into(),
            recovery_timeout: Self::DEFAULT_RECOVERY_TIMEOUT,
            success_threshold: Self::DEFAULT_SUCCESS_THRESHOLD.into(),
        };
        Self { gate: Arc::new(Gate::new(settings)), clock: AnyClock::system() }
    }

    /// Returns a new breaker that opens after this number of consecutive failures, which is at least 1. Defaults to 10.
    #[must_use]
    pub fn failure_threshold(self, failures: u32) -> Self {
        let failure_threshold = failures.max(1).into();
        self.with(Settings { failure_threshold, ..self.settings() })
    }

    /// Returns a new breaker that stays open for this long before it makes calls again. Defaults to 60 s.
    ///
    /// A [half-open](BreakerState::HalfOpen) breaker waits as long for a result of its trials before it makes new ones.
    #[must_use]
    pub fn recovery_timeout(self, timeout: Duration) -> Self {
        self.with(Settings { recovery_timeout: timeout, ..self.settings() })
    }

    /// Returns a new breaker that closes after this number of successful trials, which is at least 1. Defaults to 3. It makes
    /// no more trials at a time.
    #[must_use]
    pub fn success_threshold(self, successes: u32) -> Self {
        let success_threshold = successes.max(1).into();
        self.with(Settings { success_threshold, ..self.settings() })
    }

    /// Returns a new breaker that reads this clock. Defaults to the system's. A breaker in front of a backend reads the app's.
    #[must_use]
    pub fn clock(self, clock: impl Into<AnyClock>) -> Self {
        Self { clock: clock.into(), ..self.another() }
    }

    /// Starts an attempt. Returns `None` if the breaker makes no call now.
    #[must_use]
    pub fn enter(&self) -> Option<Attempt<'_>> {
        self.enter_by(&self.clock)
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
        self.gate.state.borrow().status
    }

    /// Returns the changes of its state from now on.
    ///
    /// ```
    /// use traffik::breaker::{BreakerState, CircuitBreaker};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let breaker = CircuitBreaker::new().failure_threshold(1);
    /// let mut changes = breaker.changes();
    ///
    /// breaker.enter().expect("it is closed").failed();
    /// assert_eq!(changes.next().await, Some(BreakerState::Open));
    /// # }
    /// ```
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(self.gate.state.subscribe())
    }

    /// Starts an attempt, by this clock.
    pub(crate) fn enter_by<'a>(&'a self, clock: &'a AnyClock) -> Option<Attempt<'a>> {
        Attempt::start(&self.gate, clock)
    }

    /// Returns a closed breaker with the same settings.
    pub(crate) fn another(&self) -> Self {
        self.with(self.settings())
    }

    fn settings(&self) -> Settings {
        self.gate.state.borrow().settings
    }

    fn with(&self, settings: Settings) -> Self {
        Self { gate: Arc::new(Gate::new(settings)), clock: self.clock.clone() }
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
