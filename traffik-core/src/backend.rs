//! The trait for stores of limits.
//!
//! A [`Backend`] does not know HTTP. One call decides about several [`Hit`]s and charges all of them or none. `traffik`
//! contains a backend in memory, and `traffik-redis` one for Redis.

use std::{
    error::Error,
    fmt,
    future::IntoFuture,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use thiserror::Error;

use crate::{
    clock::{AnyClock, Timestamp},
    decision::{Adjustment, Charge, Decision, Hit, Outcome},
    strategy::SettleError,
};

/// A store of limits, and the place where they are decided.
///
/// # Requirements
///
/// - All hits of one call are one decision: all are charged, or none is. Several hits on one entry add up.
/// - A refused decision changes nothing that is stored.
/// - A decision reads the time once, from one clock, within the lock or transaction that orders the decisions about a client.
/// - The state of a client is what [`AnyStrategy::decide`](crate::strategy::AnyStrategy::decide) returns. It is deleted after
///   it [expires](crate::strategy::State::expires).
/// - A hit at an unlimited rate is admitted, and stores nothing.
/// - **The call starts the work.** Awaiting its [`Answer`] only receives the result. What other calls need in the meantime
///   belongs to tasks of the backend, never to the future. A backend that never waits returns [`MaybeReady::Ready`].
/// - An answer borrows the backend and not the hits. It copies what it needs of them later.
/// - After [`close`](Self::close) every other call returns [`BackendError::Closed`].
///
/// The crate `traffik-conformance` tests these requirements for any backend.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Returns the name that keeps this store's entries apart from those of others.
    fn namespace(&self) -> &str;

    /// Returns the clock for deadlines and delays around this backend, unless the app has another one. Defaults to the
    /// system's.
    fn clock(&self) -> AnyClock {
        AnyClock::system()
    }

    /// Charges all of `hits` if each of their limits has room, and returns one outcome for each.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer. Whether anything was charged is then unknown, unless the error says that
    /// the call [did not run](BackendError::NotRun).
    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision>;

    /// Returns what [`decide`](Self::decide) would, without charging.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer.
    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision>;

    /// Replaces charged costs by actual ones: settles, refunds, overdraws. Returns the result of each adjustment.
    ///
    /// Each adjustment is one step, as [`AnyStrategy::settle`](crate::strategy::AnyStrategy::settle) decides it. The charges may
    /// be of many clients, and each is adjusted by itself: an entry that cannot be read, a custom strategy that panics, or a
    /// server of several that does not answer is an [`AdjustmentError`] of the adjustments that it concerns, and the others are
    /// made. The [`cost`](crate::decision::Outcome::cost) of an outcome is the actual cost.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer at all. Whether anything was adjusted is then unknown, unless the error says
    /// that the call [did not run](BackendError::NotRun). The same holds for the error of an adjustment.
    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>>;

    /// Replaces charges by new ones, for what must keep counting, such as the permits of a
    /// [`Concurrency`](crate::strategy::Concurrency). Returns the time of each new charge, or `None` if there is none that the
    /// backend knows of.
    ///
    /// Each renewal is one step, as [`AnyStrategy::renew`](crate::strategy::AnyStrategy::renew) decides it. A charge that still
    /// counts is replaced, so no other client can take its place in between. Otherwise, the cost is charged if it fits. The
    /// charges may be of many clients, and each is decided by itself.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer. Whether anything was charged is then unknown, unless the error says that
    /// the call [did not run](BackendError::NotRun).
    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>>;

    /// Deletes what is stored for each of the hits. Their clients start fresh with these limits.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer.
    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()>;

    /// Reads or changes the settings that all users of this namespace share: see [`ControlRequest`].
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer. Whether anything changed is then unknown, unless the error says that the
    /// call [did not run](BackendError::NotRun).
    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control>;

    /// Deletes the entries of all clients in this namespace. The [settings](Self::control) stay.
    ///
    /// # Errors
    ///
    /// Returns an error if the store gave no answer.
    fn clear(&self) -> Answer<'_, ()>;

    /// Closes connections and tasks. What is stored elsewhere stays.
    ///
    /// `Traffik::close` drops the call if it takes longer than `TraffikBuilder::backend_timeout`.
    ///
    /// # Errors
    ///
    /// Returns an error if something cannot be closed properly.
    fn close(&self) -> Answer<'_, ()>;
}

/// Calls the shared backend.
impl<B: Backend + ?Sized> Backend for Arc<B> {
    fn namespace(&self) -> &str {
        B::namespace(self)
    }

    fn clock(&self) -> AnyClock {
        B::clock(self)
    }

    fn decide<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        B::decide(self, hits)
    }

    fn peek<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, Decision> {
        B::peek(self, hits)
    }

    fn adjust<'a>(&'a self, adjustments: &[Adjustment<'_>]) -> Answer<'a, Vec<Adjusted>> {
        B::adjust(self, adjustments)
    }

    fn renew<'a>(&'a self, charges: &[Charge<'_>]) -> Answer<'a, Vec<Option<Timestamp>>> {
        B::renew(self, charges)
    }

    fn control<'a>(&'a self, request: ControlRequest<'_>) -> Answer<'a, Control> {
        B::control(self, request)
    }

    fn reset<'a>(&'a self, hits: &[Hit<'_>]) -> Answer<'a, ()> {
        B::reset(self, hits)
    }

    fn clear(&self) -> Answer<'_, ()> {
        B::clear(self)
    }

    fn close(&self) -> Answer<'_, ()> {
        B::close(self)
    }
}

/// The answer of a [`Backend`]: a value, or a boxed future of it.
pub type Answer<'a, T> = MaybeReady<'a, Result<T, BackendError>>;

/// A value, or a boxed future of it.
///
/// A value that is ready needs neither an allocation nor a future. Both can be awaited:
///
/// ```
/// use traffik::backend::MaybeReady;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(MaybeReady::Ready(7).await, 7);
/// assert_eq!(MaybeReady::pending(async { 7 }).await, 7);
/// # }
/// ```
#[must_use = "the work may go on, but its result is lost"]
pub enum MaybeReady<'a, T> {
    /// The value.
    Ready(T),
    /// A future of the value. The work has begun, and the future only receives the result.
    Pending(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
}

impl<'a, T> MaybeReady<'a, T> {
    /// Boxes a future.
    pub fn pending(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self::Pending(Box::pin(future))
    }

    /// Changes the value, now or when the future is ready.
    #[inline]
    pub fn map<U>(self, change: impl FnOnce(T) -> U + Send + 'a) -> MaybeReady<'a, U>
    where
        T: 'a,
    {
        match self {
            Self::Ready(value) => MaybeReady::Ready(change(value)),
            Self::Pending(pending) => MaybeReady::pending(async move { change(pending.await) }),
        }
    }
}

impl<'a, T> IntoFuture for MaybeReady<'a, T> {
    type Output = T;
    type IntoFuture = Receive<'a, T>;

    fn into_future(self) -> Receive<'a, T> {
        Receive(Some(self))
    }
}

/// The future of a [`MaybeReady`].
#[derive(Debug)]
pub struct Receive<'a, T>(Option<MaybeReady<'a, T>>);

/// The value is moved and never pinned.
impl<T> Unpin for Receive<'_, T> {}

impl<T> Future for Receive<'_, T> {
    type Output = T;

    /// # Panics
    ///
    /// Panics if it is polled again after it was ready.
    #[expect(clippy::panic, reason = "as all futures may that are polled after their end")]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if let Some(MaybeReady::Pending(future)) = &mut self.0 {
            return future.as_mut().poll(context);
        }
        match self.0.take() {
            Some(MaybeReady::Ready(value)) => Poll::Ready(value),
            _ => panic!("polled after it was ready"),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for MaybeReady<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(value) => f.debug_tuple("Ready").field(value).finish(),
            Self::Pending(_) => f.write_str("Pending(..)"),
        }
    }
}

/// The error of a backend that gave no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The backend was closed.
    #[error("the backend is closed: nothing is decided after `Traffik::close`")]
    Closed,
    /// The call took too long. It may have run, or may run later.
    #[error("the backend did not answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
    /// The call did not run and never will. It can be repeated without a second charge.
    #[error("the backend was not asked: {0}")]
    NotRun(#[source] Box<dyn Error + Send + Sync>),
    /// The backend is set up wrong, for instance without a required setting. The call did not run.
    ///
    /// This is no failure of the store: no error policy and no circuit breaker reacts to it. A request gets a 500 with the
    /// text, which has to say what to change.
    #[error("the backend is set up wrong: {0}")]
    Misconfigured(#[source] Box<dyn Error + Send + Sync>),
    /// The store did not answer, or its answer is not valid. The call may have run, or may run later.
    #[error("the backend is unavailable: {0}")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
}

impl BackendError {
    /// Creates an error for a call that may have run. `source` is the cause.
    pub fn unavailable(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(source.into())
    }

    /// Creates an error for a call that certainly did not run. `source` is the cause.
    ///
    /// Use it only if that is certain. If the call ran, repeating it charges twice.
    ///
    /// ```
    /// use traffik::backend::BackendError;
    ///
    /// assert!(!BackendError::not_run("there is no connection").may_have_run());
    /// assert!(BackendError::unavailable("the connection was lost").may_have_run());
    /// ```
    pub fn not_run(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::NotRun(source.into())
    }

    /// Creates an error for a backend that is set up wrong. `source` says what to change.
    pub fn misconfigured(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Misconfigured(source.into())
    }

    /// Returns `true` if the call may have run, or may run later. If not, nothing was charged.
    #[must_use]
    pub const fn may_have_run(&self) -> bool {
        !matches!(self, Self::Closed | Self::NotRun(_) | Self::Misconfigured(_))
    }
}

/// The result of one [`Adjustment`]. The [`cost`](Outcome::cost) of the outcome is the actual cost.
pub type Adjusted = Result<Outcome, AdjustmentError>;

/// The reason why one charge of a call was not adjusted. The other adjustments of the call have their own results.
///
/// ```
/// use traffik::backend::{Adjusted, AdjustmentError, BackendError};
///
/// fn unreadable(key: &str) -> Adjusted {
///     Err(BackendError::unavailable(format!("the key {key} holds what is not a state: delete the key")).into())
/// }
///
/// assert!(matches!(unreadable("alice"), Err(AdjustmentError::Backend(error)) if error.may_have_run()));
/// ```
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum AdjustmentError {
    /// The strategy cannot store the new cost. The charge stays as it was.
    #[error(transparent)]
    Strategy(#[from] SettleError),
    /// The store did not adjust this charge. If the adjustment [did not run](BackendError::may_have_run), it can be repeated.
    #[error(transparent)]
    Backend(Arc<BackendError>),
}

impl From<BackendError> for AdjustmentError {
    fn from(error: BackendError) -> Self {
        Self::Backend(Arc::new(error))
    }
}

/// A request to the settings that all users of a namespace share.
///
/// Settings are named texts with one version for all of them, which grows with each change. They are few and small, and are
/// not counted as entries. A store that may lose changes gives no version to other settings later: a caller that knows the
/// version would not learn of them.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ControlRequest<'a> {
    /// Reads all settings, if their version is not `known`. The version of no settings is 0.
    Read {
        /// The version that the caller knows.
        known: u64,
    },
    /// Replaces one setting, if it still has the `expected` value.
    Replace {
        /// The name of the setting.
        name: &'a str,
        /// The value that the caller knows, or `None` if the setting does not exist.
        expected: Option<&'a str>,
        /// The new value, or `None` to remove the setting.
        value: Option<&'a str>,
    },
}

/// The settings after a [`ControlRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Control {
    /// The version of the settings.
    pub version: u64,
    /// All settings by name, or `None` if the version is the known one.
    ///
    /// After a replacement all settings are returned. If the setting had another value than expected, they show it.
    pub settings: Option<Vec<(String, String)>>,
    /// Whether a setting was replaced.
    pub is_replaced: bool,
}

impl Control {
    /// Creates the answer to a request that changed nothing.
    #[must_use]
    pub const fn new(version: u64, settings: Option<Vec<(String, String)>>) -> Self {
        Self { version, settings, is_replaced: false }
    }

    /// Creates the answer to a request that replaced a setting.
    #[must_use]
    pub const fn replaced(version: u64, settings: Vec<(String, String)>) -> Self {
        Self { version, settings: Some(settings), is_replaced: true }
    }
}
