//! What happens when a backend gives no answer.
//!
//! A store is lost on the worst day. What then becomes of requests is said for the app, by
//! [`TraffikBuilder::on_error`](crate::TraffikBuilder::on_error), and for one throttle by
//! [`Settings::on_error`](crate::Settings::on_error), which wins:
//!
//! | | |
//! |---|---|
//! | [`Refuse`] | a 503 of the type `temporary-reduced-capacity`: the client did nothing wrong. This is so unless told otherwise |
//! | [`Raise`] | a 500, whose error is there to be seen |
//! | [`Allow`] | the request gets through, uncounted |
//! | [`Retry`] | the backend is asked again, if the call surely did not run; then as [`Refuse`] |
//! | [`Fallback`] | another backend decides |
//! | [`Failover`] | another backend decides, and the first is left alone once it failed too often |
//! | a function | decides as you say: see [`OnError`] |
//!
//! Of several throttles that are one decision the strictest holds. From the least strict to the strictest they are `Allow`, a
//! function, `Fallback`, `Failover`, `Retry`, `Refuse`, `Raise`; of two that are alike, that of the throttle which is written first.
//!
//! # How long a request waits
//!
//! No longer than [`backend_timeout`](crate::TraffikBuilder::backend_timeout), all in all. Where somebody else is asked when
//! the backend gives no answer, be it a fallback or a function, the backend with its retries has three quarters of that time, and
//! who is asked then has what remains. A fallback in memory needs none of it. One that is asked first, whether it still refuses
//! whom it refused before, has a quarter for that, and the backend three quarters of the rest.
//!
//! # What is told
//!
//! [`Limit::is_from_fallback`](crate::Limit::is_from_fallback) and [`Limit::is_unchecked`](crate::Limit::is_unchecked) tell how
//! a permit came about. Failures are logged once a second at most, and so is each time that a breaker opens or closes.
//!
//! # What is counted
//!
//! A call that timed out may still run in the first backend, and is charged there: what is in doubt never makes more room.
//! What the fallback charged is given back to the fallback. Once an app is [closed](crate::Traffik::close) every request is
//! a 503, whatever is said here.

pub mod breaker;
mod budget;
mod decided;
mod failover;
mod fallback;
mod fallback_backend;
mod function;
mod policies;
mod policy;
mod refusals;
mod retry;

use self::function::{AnyError, Function};
pub(crate) use self::{
    decided::{Decided, DecidedBy, Undecided},
    fallback_backend::FallbackBackend,
    policies::Policies,
    policy::{ErrorPolicy, PolicyHits, Started},
};
pub use self::{
    fallback::{Failover, Fallback},
    function::{Failure, Resolution},
    retry::{Backoff, Retry},
};

/// Lets every request through, uncounted, as long as the backend gives no answer.
#[derive(Clone, Copy, Debug)]
pub struct Allow;

/// Refuses with a 503, as long as the backend gives no answer.
#[derive(Clone, Copy, Debug)]
pub struct Refuse;

/// Answers with a 500, as long as the backend gives no answer: for those who want to see an outage as any other error.
///
/// The error is in the rejection, and in the extensions of the response, for a middleware of yours to report it: see
/// `web::Raised`. The client is told nothing of it.
#[derive(Clone, Copy, Debug)]
pub struct Raise;

/// What happens when a backend gives no answer: any of what this [module](self) lists.
///
/// A function of your own is told what happened, and says what becomes of the request, or returns an error that is raised:
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use traffik::{Traffik, backend::MemoryBackend, on_error::{Failure, Resolution}};
///
/// /// Who pays is let through.
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
pub struct OnError(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Allow,
    Refuse,
    Raise,
    Retry(Retry),
    Fallback(Fallback),
    Failover(Failover),
    Function(Function),
}

impl OnError {
    /// The same for another backend, which fails at other times.
    fn with_own_breaker(&self) -> Self {
        match &self.0 {
            Kind::Failover(failover) => Self(Kind::Failover(failover.with_own_breaker())),
            _ => self.clone(),
        }
    }
}

/// Whatever can be said turns into it.
macro_rules! on_error {
    ($($name:ident($value:pat) => $kind:expr;)+) => {
        $(impl From<$name> for OnError {
            fn from($value: $name) -> Self {
                Self($kind)
            }
        })+
    };
}

on_error! {
    Allow(_) => Kind::Allow;
    Refuse(_) => Kind::Refuse;
    Raise(_) => Kind::Raise;
    Retry(retry) => Kind::Retry(retry);
    Fallback(fallback) => Kind::Fallback(fallback);
    Failover(failover) => Kind::Failover(failover);
}

impl<F, Fut, E> From<F> for OnError
where
    F: Fn(Failure) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Resolution, E>> + Send + 'static,
    E: Into<AnyError>,
{
    fn from(function: F) -> Self {
        Self(Kind::Function(Function::new(function)))
    }
}
