use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use smallvec::SmallVec;
use traffik_core::{
    backend::{Backend, BackendError, MaybeReady},
    client::Client,
    clock::AnyClock,
    decision::Hit,
};

use super::{
    Charge, Error, Started, TraffikBuilder, Waiting,
    ask::{Asked, Question},
    task::in_a_task,
};
use crate::{
    engine::{Judge, Limits},
    limit::Registry,
    limit::{ConfigError, Throttles},
    on_error::Plans,
    one_or_more::OneOrMore,
    store::{Store, Stores},
};
use crate::{
    limit::{Definition, Throttle},
    warning::Told,
    web::WebDefaults,
};

/// The handle of an app's limits: where they are kept, and the defaults of every throttle.
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
    pub(super) clock: AnyClock,
    pub(super) ipv6_prefix: u8,
    pub(super) registry: Registry,
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
            clock: AnyClock::system(),
            ipv6_prefix: TraffikBuilder::IPV6_PREFIX,
            registry: Registry::new(Stores::default(), Plans::default(), Arc::default(), true),
            web: WebDefaults::default(),
        })
    }

    /// Whether it admits everything: see [`disabled`](Self::disabled).
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.app.registry.stores.own().is_none()
    }

    /// The namespace of its own backend.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.app.registry.stores.own().map_or("", |own| own.namespace())
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
    /// When one is set up wrong, or has the uid of another, or those of a tuple are kept in different backends.
    pub fn register<T: Throttles>(&self) -> Result<(), ConfigError> {
        self.app.registry.register::<T>()
    }

    /// Charges a client the cost of a throttle, or of each of a tuple if all of them have room, and tells how it stands.
    ///
    /// There is no request that functions could be asked about: the cost is that of [`Settings::cost`](crate::Settings::cost),
    /// and the rate is the throttle's [`RATE`](crate::Throttle::RATE). [`ask`](Self::ask) takes others.
    ///
    /// # Errors
    ///
    /// When a throttle is set up wrong, or the backend gave no answer.
    pub async fn hit<T: Throttles>(&self, client: impl Into<Client>) -> Result<Charge, Error> {
        self.ask::<T>(client).hit().await
    }

    /// Tells how a client stands with a throttle, or with each of a tuple, and charges nothing. Cost and rate are as with
    /// [`hit`](Self::hit).
    ///
    /// # Errors
    ///
    /// When a throttle is set up wrong, or the backend gave no answer.
    pub async fn peek<T: Throttles>(&self, client: impl Into<Client>) -> Result<Limits, Error> {
        self.ask::<T>(client).peek().await
    }

    /// Lets a client start fresh with a throttle, or with each of a tuple.
    ///
    /// # Errors
    ///
    /// When a throttle is set up wrong, or the backend gave no answer.
    pub async fn reset<T: Throttles>(&self, client: impl Into<Client>) -> Result<(), Error> {
        let asked = self.asked::<T>(client.into())?;
        let entries: SmallVec<[Hit<'_>; super::INLINE]> = asked.iter().filter_map(Asked::entry).collect();
        let mut all = match Asked::store(&asked)? {
            Some(store) => store.reset(&entries).await,
            None => Ok(()),
        };
        for plan in asked.iter().filter_map(Asked::own_plan) {
            all = all.and(plan.reset(&entries).await);
        }
        Ok(all?)
    }

    /// Lets every client start fresh with every limit in the namespace of the backend, or of each of several.
    ///
    /// # Errors
    ///
    /// When a backend could not do so. The others did it all the same.
    pub async fn clear(&self) -> Result<(), BackendError> {
        self.app.registry.clear().await
    }

    /// Closes each backend, and each that stands in for another. Every request that meets a limit from then on is answered
    /// with a 503.
    ///
    /// The backends are closed one after the other. Each takes at most
    /// [`backend_timeout`](crate::TraffikBuilder::backend_timeout).
    ///
    /// # Errors
    ///
    /// Returns the first error if a backend cannot be closed, or [`BackendError::Timeout`] if it takes longer. The others are
    /// closed all the same.
    pub async fn close(&self) -> Result<(), BackendError> {
        self.app.registry.close().await
    }

    pub(crate) fn definition<T: Throttle>(&self) -> Result<&Arc<Definition>, ConfigError> {
        self.app.registry.get::<T>()
    }

    pub(crate) fn web(&self) -> &WebDefaults {
        &self.app.web
    }

    /// What it was warned of.
    pub(crate) fn told(&self) -> &Told {
        &self.app.registry.told
    }

    /// Whether both are handles of one app.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.app, &other.app)
    }

    /// The client as this app counts it.
    pub(crate) fn counted_as(&self, client: Client) -> Client {
        client.by_ipv6_network(self.app.ipv6_prefix)
    }

    /// Tells how what is asked stands.
    pub(super) async fn look(&self, asked: &OneOrMore<Asked<'_>>) -> Result<Limits, Error> {
        let store = Asked::store(asked)?.filter(|_| asked.iter().any(Asked::is_counted));
        let Some(store) = store else { return Ok(Limits::uncounted(asked)) };
        if let Some(plan) = Asked::plan(asked) {
            return Ok(plan.peek(store, asked).await?);
        }
        let answer = Asked::with_hits(asked, |hits| store.peek(hits));
        Ok(Limits::peeked(asked, &mut store.in_time(answer).await?, &Judge::Backend)?)
    }

    pub(super) fn asked<T: Throttles>(&self, client: Client) -> Result<OneOrMore<Asked<'_>>, Error> {
        let client = self.counted_as(client);
        Ok(T::define(&self.app.registry)?.map(|definition| Asked::new(definition, client.clone())))
    }

    /// Charges. What has to wait is boxed.
    pub(crate) async fn charge(&self, asked: &OneOrMore<Asked<'_>>) -> Result<Limits, Error> {
        match Self::start(asked) {
            Started::Done(answer) => answer,
            Started::Waiting(waiting) => Box::pin(waiting.finish(asked)).await,
        }
    }

    /// Starts a charge.
    pub(crate) fn start<'a>(asked: &OneOrMore<Asked<'a>>) -> Started<'a> {
        let store = match Asked::store(asked) {
            Ok(store) => store.filter(|_| asked.iter().any(Asked::is_counted)),
            Err(error) => return Started::Done(Err(error.into())),
        };
        match store {
            None => Started::Done(Ok(Limits::uncounted(asked))),
            // A permit must not be lost with a caller that goes away while it waits.
            Some(store) if Limits::holds_any(asked) && !store.is_immediate() => start_in_a_task(asked),
            Some(store) => start_at(store, asked),
        }
    }
}

#[inline]
fn start_at<'a>(store: &'a Arc<Store>, asked: &OneOrMore<Asked<'a>>) -> Started<'a> {
    if let Some(plan) = Asked::plan(asked) {
        return plan.start(store, asked);
    }
    match Asked::with_hits(asked, |hits| store.decide(hits)) {
        // Not moved, since it is large.
        MaybeReady::Ready(Ok(ref mut decision)) => {
            Started::Done(Limits::decided(asked, decision, &Judge::Backend).map_err(Error::from))
        }
        MaybeReady::Ready(Err(error)) => Started::Done(Err(error.into())),
        answer => Started::Waiting(Waiting::Store(store, answer)),
    }
}

/// Starts a charge that a task finishes if it has to wait, whether its caller stays or not. A permit that nobody takes is given
/// back.
#[cold]
fn start_in_a_task<'a>(asked: &OneOrMore<Asked<'_>>) -> Started<'a> {
    let questions = asked.map(Asked::question);
    let mut charge = Box::pin(async move {
        let asked = questions.map(Question::asked);
        let Some(store) = Asked::store(&asked)? else { return Ok(Limits::uncounted(&asked)) };
        match start_at(store, &asked) {
            Started::Done(answer) => answer,
            Started::Waiting(waiting) => waiting.finish(&asked).await,
        }
    });
    match charge.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Started::Done(answer),
        Poll::Pending => Started::Waiting(Waiting::Task(Box::pin(in_a_task(charge)))),
    }
}

/// Its namespace, and nothing of what is kept there.
impl fmt::Debug for Traffik {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffik").field("namespace", &self.namespace()).finish_non_exhaustive()
    }
}
