use std::{error::Error, fmt, pin::Pin, sync::Arc, time::Duration};

use traffik_core::{
    OutOfRange,
    backend::{Backend, BackendError},
    client::Client,
    decision::Hit,
    rate::Rate,
};

use super::{breaker::CircuitBreaker, retry::Retry};

/// Admits every request without counting it while the backend does not answer.
#[derive(Clone, Copy, Debug)]
pub struct Allow;

/// Refuses every request with a 503 while the backend does not answer.
#[derive(Clone, Copy, Debug)]
pub struct Refuse;

/// Responds with a 500 while the backend does not answer, for apps that treat an outage like any other error.
///
/// The rejection and the extensions of the response hold the error, where a middleware of yours finds it: see
/// `web::Raised`. The client does not see the error.
#[derive(Clone, Copy, Debug)]
pub struct Raise;

/// What happens to a request when a backend does not answer: one of the options that this [module](super) lists.
///
/// A function receives a [`Failure`] and returns a [`Resolution`], or an error that is raised:
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use traffik::{MemoryBackend, Traffik, on_error::{Failure, Resolution}};
///
/// /// Admits paying clients.
/// async fn by_client(failure: Failure) -> Result<Resolution, Infallible> {
///     if is_paying(failure.client()).await {
///         return Ok(Resolution::Admit);
///     }
///     Ok(Resolution::RefuseFor(Duration::from_secs(30)))
/// }
/// # async fn is_paying(_: &traffik::Client) -> bool { true }
///
/// # let redis = MemoryBackend::new("myapp");
/// let traffik = Traffik::builder(redis).on_error(by_client).build()?;
/// # Ok::<(), traffik::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct OnError {
    pub(super) kind: PolicyKind,
    /// How often the backend is asked again.
    pub(super) retry: Retry,
    /// Stands in front of the backend.
    pub(super) breaker: Option<CircuitBreaker>,
    /// Decides if the backend does not.
    pub(super) fallback: Option<Fallback>,
    /// Decides if neither backend does.
    pub(super) function: Option<Function>,
}

/// The kinds of policies, from the least strict to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PolicyKind {
    Allow,
    Function,
    Fallback,
    Failover,
    Retry,
    Refuse,
    Raise,
}

impl OnError {
    const fn new(kind: PolicyKind) -> Self {
        Self { kind, retry: Retry::NEVER, breaker: None, fallback: None, function: None }
    }

    /// Checks the settings of a fallback.
    pub(crate) fn check(&self) -> Result<(), OutOfRange> {
        let Some(Fallback { share, .. }) = self.fallback else { return Ok(()) };
        let setting = if self.breaker.is_some() { "Failover::share" } else { "Fallback::share" };
        OutOfRange::check(setting, share, 1..=u64::MAX)
    }

    /// Returns the same for another backend, which fails at other times.
    pub(crate) fn with_own_breaker(&self) -> Self {
        Self { breaker: self.breaker.as_ref().map(CircuitBreaker::another), ..self.clone() }
    }
}

impl From<Allow> for OnError {
    fn from(_: Allow) -> Self {
        Self::new(PolicyKind::Allow)
    }
}

impl From<Refuse> for OnError {
    fn from(_: Refuse) -> Self {
        Self::new(PolicyKind::Refuse)
    }
}

impl From<Raise> for OnError {
    fn from(_: Raise) -> Self {
        Self::new(PolicyKind::Raise)
    }
}

impl From<Retry> for OnError {
    fn from(retry: Retry) -> Self {
        Self { retry, ..Self::new(PolicyKind::Retry) }
    }
}

impl From<Fallback> for OnError {
    fn from(fallback: Fallback) -> Self {
        Self { fallback: Some(fallback), ..Self::new(PolicyKind::Fallback) }
    }
}

impl From<Failover> for OnError {
    fn from(Failover { fallback, breaker, retry }: Failover) -> Self {
        Self { kind: PolicyKind::Failover, retry, breaker: Some(breaker), ..fallback.into() }
    }
}

impl<F, Fut, E> From<F> for OnError
where
    F: Fn(Failure) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Resolution, E>> + Send + 'static,
    E: Into<AnyError>,
{
    fn from(function: F) -> Self {
        let function = Function(Arc::new(move |failure| {
            let answer = function(failure);
            Box::pin(async move { answer.await.map_err(Into::into) })
        }));
        Self { function: Some(function), ..Self::new(PolicyKind::Function) }
    }
}

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

/// A decision that a backend did not make, for a function: see [`OnError`].
#[derive(Clone, Debug)]
pub struct Failure {
    error: Arc<BackendError>,
    uid: Box<str>,
    client: Client,
    rate: Rate,
    cost: u64,
}

/// What happens to a request whose limits could not be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// Admits the request without counting it.
    Admit,
    /// Refuses the request with a 503. `Retry-After` is this time.
    RefuseFor(Duration),
}

pub(super) type AnyError = Box<dyn Error + Send + Sync>;

type Answer = Pin<Box<dyn Future<Output = Result<Resolution, AnyError>> + Send>>;

/// A function of the user.
#[derive(Clone)]
pub(super) struct Function(pub(super) Arc<dyn Fn(Failure) -> Answer + Send + Sync>);

impl Failure {
    pub(super) fn new(error: Arc<BackendError>, hit: &Hit<'_>) -> Self {
        let Hit { limit, key, rate, cost, .. } = *hit;
        Self { error, uid: limit.uid().into(), client: key.clone().into(), rate, cost }
    }

    /// Returns why the backend did not answer.
    #[must_use]
    pub fn error(&self) -> &BackendError {
        &self.error
    }

    /// Returns the uid of the throttle. If several throttles are one decision, it is the first one with this `on_error`.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// Returns the client of the request.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns the rate of the throttle.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Returns the cost of the request.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.cost
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Function(..)")
    }
}
