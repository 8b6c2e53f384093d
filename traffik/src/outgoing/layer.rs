use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use axum::http::request::Parts;
use tower_layer::Layer;
use traffik_core::client::Client;

use super::service::{Key, Options, Outgoing};
use crate::{engine::Traffik, limit::Throttles};

/// Lets the calls of an HTTP client wait for their turns. [`Traffik::outgoing`] creates it.
///
/// `T` is a [`Throttle`](crate::Throttle), or a tuple of up to sixteen, which are one decision. See the
/// [module](crate::outgoing).
#[must_use = "a layer has no effect until it wraps a client"]
pub struct OutgoingLayer<T> {
    pub(super) options: Arc<Options>,
    throttles: PhantomData<fn() -> T>,
}

impl Traffik {
    /// Creates a layer for the calls of an HTTP client, which limits them by host: see [`outgoing`](crate::outgoing).
    pub fn outgoing<T: Throttles>(&self) -> OutgoingLayer<T> {
        OutgoingLayer::new(Options {
            traffik: self.clone(),
            key: Key::Host,
            wait: OutgoingLayer::<T>::DEFAULT_WAIT,
            max_hold_back: OutgoingLayer::<T>::DEFAULT_MAX_HOLD_BACK,
        })
    }
}

impl<T> OutgoingLayer<T> {
    /// The default of [`wait`](Self::wait): 30 s.
    pub const DEFAULT_WAIT: Duration = Duration::from_secs(30);

    /// The default of [`max_hold_back`](Self::max_hold_back): an hour.
    pub const DEFAULT_MAX_HOLD_BACK: Duration = Duration::from_secs(3600);

    fn new(options: Options) -> Self {
        Self { options: Arc::new(options), throttles: PhantomData }
    }

    /// Limits all calls by one key, instead of by host.
    ///
    /// ```
    /// use traffik::{MemoryBackend, Throttle, Traffik, outgoing::OutgoingLayer};
    ///
    /// fn layer<Payments: Throttle>(traffik: &Traffik) -> OutgoingLayer<Payments> {
    ///     traffik.outgoing::<Payments>().key("payments")
    /// }
    /// ```
    pub fn key(self, key: impl Into<Client>) -> Self {
        let key = Key::One(key.into());
        Self::new(Options { key, ..Options::clone(&self.options) })
    }

    /// Limits calls by the key that a function returns for each. [`EXEMPTED`](crate::EXEMPTED) calls do not wait.
    ///
    /// ```
    /// use axum::http::request::Parts;
    /// use traffik::{Client, EXEMPTED, Throttle, Traffik, outgoing::OutgoingLayer};
    ///
    /// /// The account is in the request's extensions. Status pages are not limited.
    /// fn account(parts: &Parts) -> Client {
    ///     if parts.uri.path() == "/status" {
    ///         return EXEMPTED;
    ///     }
    ///     parts.extensions.get::<String>().cloned().unwrap_or_default().into()
    /// }
    ///
    /// fn layer<Payments: Throttle>(traffik: &Traffik) -> OutgoingLayer<Payments> {
    ///     traffik.outgoing::<Payments>().key_by(account)
    /// }
    /// ```
    pub fn key_by<C: Into<Client>>(self, key: impl Fn(&Parts) -> C + Send + Sync + 'static) -> Self {
        let key = Key::By(Arc::new(move |parts| key(parts).into()));
        Self::new(Options { key, ..Options::clone(&self.options) })
    }

    /// Sets how long a call waits for its turn at most. Defaults to 30 s. A call whose turn would come later is not made: see
    /// [`Limiter::wait`](crate::Limiter::wait).
    pub fn wait(self, max: Duration) -> Self {
        Self::new(Options { wait: max, ..Options::clone(&self.options) })
    }

    /// Sets the longest pause that a `Retry-After` is granted. Defaults to an hour. With zero, `Retry-After` has no effect.
    pub fn max_hold_back(self, max: Duration) -> Self {
        Self::new(Options { max_hold_back: max, ..Options::clone(&self.options) })
    }
}

impl<S, T> Layer<S> for OutgoingLayer<T> {
    type Service = Outgoing<S, T>;

    fn layer(&self, inner: S) -> Outgoing<S, T> {
        Outgoing { inner, options: Arc::clone(&self.options), throttles: PhantomData }
    }
}

impl<T> Clone for OutgoingLayer<T> {
    fn clone(&self) -> Self {
        Self { options: Arc::clone(&self.options), throttles: PhantomData }
    }
}

impl<T> fmt::Debug for OutgoingLayer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OutgoingLayer").field(&self.options).finish()
    }
}
