use traffik_core::OutOfRange;

use super::{
    breaker::CircuitBreaker,
    fallback::{Failover, Fallback},
    function::{AnyError, Failure, Function, Resolution},
    retry::Retry,
};

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
        Self { function: Some(Function::new(function)), ..Self::new(PolicyKind::Function) }
    }
}
