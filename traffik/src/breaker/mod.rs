//! A circuit breaker: what fails again and again is left alone for a while.
//!
//! A [`CircuitBreaker`] stands in front of something that may fail, and decides who goes on to it. It is
//! [closed](BreakerState::Closed) while all is well, and everybody goes through. After so many failures in a row it
//! [opens](BreakerState::Open): nobody goes through, and so nobody waits for what does not answer. When some time has passed
//! it is [half-open](BreakerState::HalfOpen): a few go through, to see whether it works again, and everybody else is turned
//! away as before. It closes once they all succeeded, and opens again when one of them failed.
//!
//! In front of a backend it stands in [`on_error::Failover`](crate::on_error::Failover); it is usable alone as well.
//!
//! The pattern is Michael Nygard's ("Release It!", 2007).

mod attempt;
mod changes;
mod gate;
mod sync;
mod word;

use std::{fmt, sync::Arc, time::Duration};

use thiserror::Error;

use self::gate::{Gate, Terms};
pub use self::{attempt::Attempt, changes::Changes};
use crate::clock::{AnyClock, Timestamp};

/// Lets nobody through to what failed too often, until some time has passed. Clones are one breaker.
///
/// Where all is well it takes no lock and writes nothing.
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
/// // From now on nobody waits for it.
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

/// Who goes through a [`CircuitBreaker`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BreakerState {
    /// Everybody: all is well.
    Closed,
    /// Nobody, until some time has passed.
    Open,
    /// A few, to see whether it works again.
    HalfOpen,
}

/// How a [`CircuitBreaker`] stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BreakerStatus {
    /// Who goes through.
    pub state: BreakerState,
    /// While it is closed, how many failed in a row.
    pub failures: u64,
    /// While it is half-open, how many succeeded.
    pub successes: u64,
    /// While it is half-open, how many are under way.
    pub trials: u64,
    /// When it opened last, unless it closed since.
    pub opened_at: Option<Timestamp>,
    /// How often it opened in all.
    pub openings: u64,
}

/// Why a [`CircuitBreaker::call`] brought nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Broken<E> {
    /// It was not made, since too many failed before.
    #[error("not tried, since too many attempts failed")]
    Open,
    /// It was made, and failed.
    #[error(transparent)]
    Failed(E),
}

impl CircuitBreaker {
    /// How many failures in a row open it, unless told otherwise.
    pub const DEFAULT_FAILURE_THRESHOLD: u32 = 10;
    /// For how long it is open, unless told otherwise.
    pub const DEFAULT_RECOVERY_TIMEOUT: Duration = Duration::from_secs(60);
    /// How many trials have to succeed before it closes, unless told otherwise.
    pub const DEFAULT_SUCCESS_THRESHOLD: u32 = 3;

    /// A closed one, with everything at its default.
    #[must_use]
    pub fn new() -> Self {
        let terms = Terms {
            failure_threshold: Self::DEFAULT_FAILURE_THRESHOLD.into(),
            recovery_timeout: Self::DEFAULT_RECOVERY_TIMEOUT,
            success_threshold: Self::DEFAULT_SUCCESS_THRESHOLD.into(),
        };
        Self::with(terms, AnyClock::system())
    }

    /// Another one that opens after so many failures in a row: at least one, and at most a million.
    #[must_use]
    pub fn failure_threshold(self, failures: u32) -> Self {
        self.but(|terms| terms.failure_threshold = within_bounds(failures))
    }

    /// Another one that lets nobody through for so long once it is open.
    #[must_use]
    pub fn recovery_timeout(self, timeout: Duration) -> Self {
        self.but(|terms| terms.recovery_timeout = timeout)
    }

    /// Another one that closes again once so many trials succeeded: at least one, and at most a million. No more than these
    /// are made.
    #[must_use]
    pub fn success_threshold(self, successes: u32) -> Self {
        self.but(|terms| terms.success_threshold = within_bounds(successes))
    }

    /// Another one that goes by this clock, rather than the system's. One that stands in front of a backend goes by the app's.
    #[must_use]
    pub fn clock(self, clock: impl Into<AnyClock>) -> Self {
        Self::with(self.gate().terms, clock.into())
    }

    /// Asks for leave to try. Nothing, if it is not to be tried now.
    #[must_use]
    pub fn enter(&self) -> Option<Attempt<'_>> {
        self.enter_by(&self.shared.clock)
    }

    /// Makes a call, unless it is not to be made now.
    ///
    /// # Errors
    ///
    /// That of the call, or [`Broken::Open`].
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

    /// Who goes through. It is half-open only once somebody wants to go through after the recovery timeout.
    #[must_use]
    pub fn state(&self) -> BreakerState {
        self.gate().look().state
    }

    /// How it stands, in numbers.
    #[must_use]
    pub fn status(&self) -> BreakerStatus {
        let seen = self.gate().look();
        let counted_in = |state| if seen.state == state { seen.count } else { 0 };
        BreakerStatus {
            state: seen.state,
            failures: counted_in(BreakerState::Closed),
            successes: counted_in(BreakerState::HalfOpen),
            trials: seen.trials,
            opened_at: self.gate().opened_at(),
            openings: self.gate().openings(),
        }
    }

    /// The changes of its state from now on.
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

    /// Asks for leave to try, by this clock.
    pub(crate) fn enter_by<'a>(&'a self, clock: &'a AnyClock) -> Option<Attempt<'a>> {
        let entry = self.gate().enter(|| clock.now())?;
        Some(Attempt::new(self, clock, entry))
    }

    /// A closed one that goes by the same terms.
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

fn within_bounds(count: u32) -> u64 {
    u64::from(count).clamp(1, word::MOST)
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
