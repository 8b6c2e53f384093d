use std::{fmt, sync::Arc, time::Duration};

use smallvec::SmallVec;

use super::{Charge, Error, TraffikBuilder, ask::Asked, deadline::within, registry::Registry};
#[cfg(feature = "axum")]
use crate::web::WebDefaults;
use crate::{
    backend::{AnyBackend, Backend, BackendError},
    client::{Client, Networks},
    clock::AnyClock,
    decision::{Decision, Hit, INLINE, Receipt},
    limits::Limits,
    one_or_more::OneOrMore,
    throttle::{ConfigError, Definition, Throttle, Throttles},
};

/// The handle of an app's limits: the backend they are kept in, and the defaults of every throttle.
///
/// It is cheap to clone, and all clones are the same. An app carries it as an extension of its requests, by
/// `Traffik::layer`, and everything finds it there. It also decides without a request at hand:
///
/// ```
/// use traffik::{DefaultIdentity, Rate, Throttle, Traffik, backend::MemoryBackend};
///
/// struct Mails;
///
/// impl Throttle for Mails {
///     const UID: &'static str = "mails:sent";
///     const RATE: Rate = Rate::literal("2/hour");
///     type Identity = DefaultIdentity;
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let traffik = Traffik::new(MemoryBackend::new("myapp"));
///
/// let limits = traffik.hit::<Mails>(("user", 42)).await?;
/// assert!(limits.is_admitted());
/// assert_eq!(limits.tightest().remaining(), 1);
///
/// traffik.reset::<Mails>(("user", 42)).await?;
/// assert_eq!(traffik.peek::<Mails>(("user", 42)).await?.tightest().remaining(), 2);
///
/// traffik.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Traffik {
    pub(super) app: Arc<App>,
}

pub(super) struct App {
    /// None, where everything is admitted.
    pub(super) backend: Option<AnyBackend>,
    pub(super) clock: AnyClock,
    pub(super) backend_timeout: Duration,
    pub(super) networks: Networks,
    pub(super) registry: Registry,
    #[cfg(feature = "axum")]
    pub(super) web: WebDefaults,
}

impl Traffik {
    /// A handle that keeps its limits in `backend`, and leaves everything else at its default.
    #[must_use]
    pub fn new(backend: impl Backend) -> Self {
        TraffikBuilder::new(backend).unchecked()
    }

    /// Sets up a handle that keeps its limits in `backend`.
    pub fn builder(backend: impl Backend) -> TraffikBuilder {
        TraffikBuilder::new(backend)
    }

    /// A handle that admits everything and counts nothing: for tests in which limits are in the way.
    #[must_use]
    pub fn disabled() -> Self {
        Self::from(App {
            backend: None,
            clock: AnyClock::system(),
            backend_timeout: Duration::ZERO,
            networks: Networks::default(),
            registry: Registry::new(true),
            #[cfg(feature = "axum")]
            web: WebDefaults::default(),
        })
    }

    /// Whether it admits everything: see [`disabled`](Self::disabled).
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.app.backend.is_none()
    }

    /// The namespace of its backend.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.app.backend.as_ref().map_or("", AnyBackend::namespace)
    }

    /// The clock that deadlines and delays go by.
    #[must_use]
    pub fn clock(&self) -> &AnyClock {
        &self.app.clock
    }

    /// Checks a throttle, or each of a tuple, now rather than when it is first used.
    ///
    /// # Errors
    ///
    /// When one is set up wrong, or has the uid of another.
    pub fn register<T: Throttles>(&self) -> Result<(), ConfigError> {
        T::define(self).map(|_| ())
    }

    /// Charges a client the cost of a throttle, or of each of a tuple if all of them have room, and tells how it stands.
    ///
    /// # Errors
    ///
    /// When a throttle is set up wrong, or the backend gave no answer.
    pub async fn hit<T: Throttles>(&self, client: impl Into<Client>) -> Result<Charge, Error> {
        let client = client.into();
        let limits = self.charge(&self.asked::<T>(client.clone())?).await?;
        Ok(Charge::new(self.clone(), self.counted_as(client), limits))
    }

    /// Tells how a client stands with a throttle, or with each of a tuple, and charges nothing.
    ///
    /// # Errors
    ///
    /// When a throttle is set up wrong, or the backend gave no answer.
    pub async fn peek<T: Throttles>(&self, client: impl Into<Client>) -> Result<Limits, Error> {
        let asked = self.asked::<T>(client.into())?;
        let (hits, app) = (Asked::hits(&asked), &self.app);
        let mut decision = match &app.backend {
            Some(backend) if !hits.is_empty() => within(&app.clock, app.backend_timeout, backend.peek(&hits)).await?,
            _ => Decision::from_iter([]),
        };
        self.limits(&asked, hits.len(), &mut decision)
    }

    /// Lets a client start fresh with a throttle, or with each of a tuple.
    ///
    /// # Errors
    ///
    /// When a throttle is set up wrong, or the backend gave no answer.
    pub async fn reset<T: Throttles>(&self, client: impl Into<Client>) -> Result<(), Error> {
        let (asked, app) = (self.asked::<T>(client.into())?, &self.app);
        let entries: SmallVec<[Hit<'_>; INLINE]> = asked.iter().filter_map(Asked::entry).collect();
        match &app.backend {
            Some(backend) => Ok(within(&app.clock, app.backend_timeout, backend.reset(&entries)).await?),
            None => Ok(()),
        }
    }

    /// Lets every client start fresh with every limit in the backend's namespace.
    ///
    /// # Errors
    ///
    /// When the backend could not do so.
    pub async fn clear(&self) -> Result<(), BackendError> {
        match &self.app.backend {
            Some(backend) => backend.clear().await,
            None => Ok(()),
        }
    }

    /// Closes the backend. Every request that meets a limit from then on is answered with a 503.
    ///
    /// # Errors
    ///
    /// When the backend cannot be closed in order.
    pub async fn close(&self) -> Result<(), BackendError> {
        match &self.app.backend {
            Some(backend) => backend.close().await,
            None => Ok(()),
        }
    }

    pub(crate) fn definition<T: Throttle>(&self) -> Result<&Arc<Definition>, ConfigError> {
        self.app.registry.get::<T>()
    }

    #[cfg(feature = "axum")]
    pub(crate) fn web(&self) -> &WebDefaults {
        &self.app.web
    }

    /// Whether both are handles of one app.
    #[cfg(feature = "axum")]
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.app, &other.app)
    }

    /// The client as this app counts it.
    pub(crate) fn counted_as(&self, client: Client) -> Client {
        self.app.networks.counted_as(client)
    }

    fn asked<T: Throttles>(&self, client: Client) -> Result<OneOrMore<Asked<'_>>, Error> {
        let client = self.counted_as(client);
        Ok(T::define(self)?.map(|definition| Asked::new(definition, client.clone())))
    }

    pub(crate) async fn charge(&self, asked: &OneOrMore<Asked<'_>>) -> Result<Limits, Error> {
        match self.charge_now(asked) {
            Some(limits) => limits,
            None => Box::pin(self.charge_later(asked)).await,
        }
    }

    /// Decides at once, if that takes no waiting: nothing is boxed then, and no future holds what is asked.
    pub(crate) fn charge_now(&self, asked: &OneOrMore<Asked<'_>>) -> Option<Result<Limits, Error>> {
        Asked::with_hits(asked, |hits| {
            let mut answer = match &self.app.backend {
                Some(backend) if !hits.is_empty() => backend.decide_now(hits),
                _ => Some(Ok(Decision::from_iter([]))),
            };
            match answer {
                // Not moved, since it is large.
                Some(Ok(ref mut decision)) => Some(self.limits(asked, hits.len(), decision)),
                Some(Err(error)) => Some(Err(error.into())),
                None => None,
            }
        })
    }

    /// Asks a backend that has to wait, and no longer than it may.
    async fn charge_later(&self, asked: &OneOrMore<Asked<'_>>) -> Result<Limits, Error> {
        let (hits, app) = (Asked::hits(asked), &self.app);
        let mut decision = match &app.backend {
            Some(backend) => within(&app.clock, app.backend_timeout, backend.decide(&hits)).await?,
            None => Decision::from_iter([]),
        };
        self.limits(asked, hits.len(), &mut decision)
    }

    /// What an answer of the backend comes to. One that leaves a hit out is none: nobody gets in by it.
    fn limits(&self, asked: &OneOrMore<Asked<'_>>, expected: usize, decision: &mut Decision) -> Result<Limits, Error> {
        let told = decision.outcomes().len();
        if told != expected && !self.is_disabled() {
            let reason = format!("the backend told {told} outcomes of {expected} hits");
            return Err(BackendError::unavailable(reason).into());
        }
        Ok(Limits::new(asked, decision))
    }

    pub(crate) async fn give_back(&self, receipts: &[Receipt<'_>]) -> Result<(), BackendError> {
        match &self.app.backend {
            Some(backend) => within(&self.app.clock, self.app.backend_timeout, backend.refund(receipts)).await,
            None => Ok(()),
        }
    }
}

/// Its namespace, and nothing of what is kept there.
impl fmt::Debug for Traffik {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffik").field("namespace", &self.namespace()).finish_non_exhaustive()
    }
}
