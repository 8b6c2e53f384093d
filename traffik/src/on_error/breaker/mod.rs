//! A circuit breaker: stops calling what keeps failing, and tries again later.
//!
//! A [`CircuitBreaker`] stands in front of something that may fail, and decides which calls are made:
//!
//! - [Closed](BreakerState::Closed): every call is made. After [`failure_threshold`](CircuitBreaker::failure_threshold)
//!   consecutive failures the breaker opens.
//! - [Open](BreakerState::Open): no call is made, so no caller waits for an answer that does not come. After
//!   [`recovery_timeout`](CircuitBreaker::recovery_timeout) the breaker is half-open.
//! - [Half-open](BreakerState::HalfOpen): [`success_threshold`](CircuitBreaker::success_threshold) calls are made as trials,
//!   and no others. The breaker closes once all of them succeeded, and opens again when one of them fails.
//!
//! [`on_error::Failover`](crate::on_error::Failover) has a breaker in front of its first backend. A breaker also works alone.
//!
//! The pattern is Michael Nygard's ("Release It!", 2007).

mod attempt;
mod changes;
mod gate;

use std::{fmt, sync::Arc, time::Duration};

use thiserror::Error;
use traffik_core::clock::{AnyClock, Timestamp};

use self::gate::{Gate, Terms};
pub use self::{attempt::Attempt, changes::Changes};

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
    shared: Arc<Shared>,
}

struct Shared {
    gate: Gate,
    clock: AnyClock,
}

/// Which calls a [`CircuitBreaker`] makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// All calls.
    Closed,
    /// None, until the [recovery timeout](CircuitBreaker::recovery_timeout) has passed.
    Open,
    /// As many trials as have to [succeed](CircuitBreaker::success_threshold), to find out whether calls work again.
    ///
    /// These trials are a round. If all of them are under way and the [recovery timeout](CircuitBreaker::recovery_timeout)
    /// passes without a result, the next call starts a new round, in which no trial has succeeded yet. Results of the
    /// earlier round are ignored. So trials that never end do not keep the breaker half-open.
    HalfOpen,
}

/// A snapshot of a [`CircuitBreaker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerStatus {
    /// Which calls are made.
    pub state: BreakerState,
    /// The number of consecutive failures. 0 unless the breaker is closed.
    pub failures: u64,
    /// The number of trials that succeeded in this round. 0 unless the breaker is half-open.
    pub successes: u64,
    /// The number of trials under way in this round. 0 unless the breaker is half-open.
    pub trials: u64,
    /// When the breaker opened last. `None` while it is closed.
    pub opened_at: Option<Timestamp>,
    /// How often the breaker has opened.
    pub openings: u64,
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
        let terms = Terms {
            failure_threshold: Self::DEFAULT_FAILURE_THRESHOLD.into(),
            recovery_timeout: Self::DEFAULT_RECOVERY_TIMEOUT,
            success_threshold: Self::DEFAULT_SUCCESS_THRESHOLD.into(),
        };
        Self::with(terms, AnyClock::system())
    }

    /// Returns a new breaker that opens after this number of consecutive failures, which is at least 1. Defaults to 10.
    #[must_use]
    pub fn failure_threshold(self, failures: u32) -> Self {
        self.but(|terms| terms.failure_threshold = at_least_one(failures))
    }

    /// Returns a new breaker that stays open for this long before it makes calls again. Defaults to 60 s.
    ///
    /// A [half-open](BreakerState::HalfOpen) breaker waits as long for a result of its trials before it makes new ones.
    #[must_use]
    pub fn recovery_timeout(self, timeout: Duration) -> Self {
        self.but(|terms| terms.recovery_timeout = timeout)
    }

    /// Returns a new breaker that closes after this number of successful trials, which is at least 1. Defaults to 3. It makes
    /// no more trials at a time.
    #[must_use]
    pub fn success_threshold(self, successes: u32) -> Self {
        self.but(|terms| terms.success_threshold = at_least_one(successes))
    }

    /// Returns a new breaker that reads this clock. Defaults to the system's. A breaker in front of a backend reads the app's.
    #[must_use]
    pub fn clock(self, clock: impl Into<AnyClock>) -> Self {
        Self::with(self.gate().terms, clock.into())
    }

    /// Starts an attempt. Returns `None` if the breaker makes no call now.
    #[must_use]
    pub fn enter(&self) -> Option<Attempt<'_>> {
        self.enter_by(&self.shared.clock)
    }

    /// Makes a call, if the breaker makes calls now.
    ///
    /// # Errors
    ///
    /// Returns the error of the call, or [`Broken::Open`] if the call was not made.
    pub async fn call<T, E>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, Broken<E>> {
        let attempt = self.enter().ok_or(Broken::Open)?;
        match call.await {
            Ok(answer) => {
                attempt.succeeded();
                Ok(answer)
            }
            Err(error) => {
                attempt.failed();
                Err(Broken::Failed(error))
            }
        }
    }

    /// Returns which calls are made. An open breaker becomes half-open with the first attempt after the recovery timeout.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.gate().state()
    }

    /// Returns a snapshot of its state and counters.
    #[must_use]
    pub fn status(&self) -> BreakerStatus {
        self.gate().status()
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
        Changes::new(self.gate().subscribe())
    }

    /// Starts an attempt, by this clock.
    pub(crate) fn enter_by<'a>(&'a self, clock: &'a AnyClock) -> Option<Attempt<'a>> {
        let entry = self.gate().enter(|| clock.now())?;
        Some(Attempt::new(self, clock, entry))
    }

    /// Returns a closed breaker with the same settings.
    pub(crate) fn another(&self) -> Self {
        Self::with(self.gate().terms, self.shared.clock.clone())
    }

    fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    fn but(self, change: impl FnOnce(&mut Terms)) -> Self {
        let mut terms = self.gate().terms;
        change(&mut terms);
        Self::with(terms, self.shared.clock.clone())
    }

    fn with(terms: Terms, clock: AnyClock) -> Self {
        Self { shared: Arc::new(Shared { gate: Gate::new(terms), clock }) }
    }
}

fn at_least_one(count: u32) -> u64 {
    u64::from(count).max(1)
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Terms { failure_threshold, recovery_timeout, success_threshold } = self.gate().terms;
        f.debug_struct("CircuitBreaker")
            .field("failure_threshold", &failure_threshold)
            .field("recovery_timeout", &recovery_timeout)
            .field("success_threshold", &success_threshold)
            .field("status", &self.status())
            .finish()
    }
}
