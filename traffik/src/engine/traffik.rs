use std::{fmt, sync::Arc, time::Duration};

use smallvec::SmallVec;
use traffik_core::{
    backend::{BackendError, MaybeReady},
    client::{Client, Nat64Prefix},
    clock::AnyClock,
    decision::Hit,
};

#[cfg(feature = "file")]
use super::limits_file::FileState;
use super::{
    Check, CheckResult, Checks, Demand, Error, Limits,
    decide::put_in_force,
    shared_state::SharedChanges,
    waiting::{Lines, Waited},
};
use crate::{
    limit::{
        ConfigError, Definition, KnownBy, Throttle, ThrottleTable, Throttles, assert_types,
        changes::{Changes, Live},
        register,
    },
    on_error::Decided,
    request::{ClientAddress, Identity, RequestDefaults},
    store::{HITS_INLINE, each},
    warning::WarningLog,
};

/// The handle of an app's limits: where they are kept, and the defaults of every throttle.
///
/// It is cheap to clone, and all clones are the same. An app carries it as an extension of its requests, by
/// `Traffik::layer`, and everything finds it there. It also decides without a request at hand:
///
/// ```
/// use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik};
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
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
///
/// let permit = traffik.limiter::<Mails>(("user", 42)).check().await?;
/// assert_eq!(permit.tightest().remaining(), 1);
///
/// traffik.reset::<Mails>(("user", 42)).await?;
/// assert_eq!(traffik.limiter::<Mails>(("user", 42)).peek().await?.tightest().remaining(), 2);
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
    pub(super) nat64: Box<[Nat64Prefix]>,
    pub(super) table: ThrottleTable,
    pub(super) request: RequestDefaults,
    /// The callers that wait for a turn.
    pub(super) lines: Arc<Lines>,
    /// What is known of the changes that other processes see too.
    pub(super) shared: SharedChanges,
    #[cfg(feature = "file")]
    pub(super) limits_file: Option<FileState>,
}

impl Traffik {
    /// Returns `true` if it admits everything: see [`disabled`](Self::disabled).
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.app.table.stores.own().is_none()
    }

    /// Returns the namespace of its own backend.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.app.table.stores.own().map_or("", |own| own.namespace())
    }

    /// Returns the clock that deadlines and delays go by.
    #[must_use]
    pub fn clock(&self) -> &AnyClock {
        &self.app.clock
    }

    /// Checks a throttle, or each of a tuple, now rather than when it is first used.
    ///
    /// # Errors
    ///
    /// Returns an error if one cannot work, has the uid of another, or the throttles of a tuple are in different backends.
    pub fn register<T: Throttles>(&self) -> Result<(), ConfigError> {
        const { assert_types::<T>() };
        register::<T>(&self.app.table)
    }

    /// Deletes what is stored for a client and a throttle, or each throttle of a tuple.
    ///
    /// # Errors
    ///
    /// Returns an error if a throttle cannot work, or if the backend does not answer.
    pub async fn reset<T: Throttles>(&self, client: impl Into<Client>) -> Result<(), Error> {
        const { assert_types::<T>() };
        self.reset_all(self.checks::<T>(client.into())?).await
    }

    /// Deletes what is stored for each of the checks.
    pub(crate) async fn reset_all(&self, checks: Checks<'_>) -> Result<(), Error> {
        let mut all = Ok(());
        // Throttles whose requests choose a backend are reset in each of them, one after the other.
        for check in checks.iter().filter(|check| check.backend.is_none()) {
            for backend in check.definition.backends.indices() {
                let check = Check { backend, ..check.clone() };
                all = all.and(self.reset_in_one(&Checks::new(check)).await);
            }
        }
        if let Some(checks) = Checks::collect(checks.iter().filter(|check| !check.backend.is_none()).cloned()) {
            all = all.and(self.reset_in_one(&checks).await);
        }
        all
    }

    async fn reset_in_one(&self, checks: &Checks<'_>) -> Result<(), Error> {
        let entries: SmallVec<[Hit<'_>; HITS_INLINE]> = checks.iter().filter_map(Check::entry).collect();
        let reset = match checks.store_of_all()? {
            Some(store) => store.reset(&entries).await,
            None => Ok(()),
        };
        let policies = checks.iter().filter_map(|check| Some(&check.limit_backend()?.policy));
        let fallbacks = policies.filter_map(|policy| policy.fallback.as_ref());
        let all = reset.and(each(fallbacks.map(|fallback| fallback.store.reset(&entries))).await);
        for check in checks.iter() {
            self.end_penalty(check).await?;
        }
        Ok(all?)
    }

    /// Deletes what is stored for all clients, in all backends of the app.
    ///
    /// # Errors
    ///
    /// Returns an error if a backend fails. The others are cleared all the same.
    pub async fn clear(&self) -> Result<(), BackendError> {
        self.app.table.clear().await
    }

    /// Closes each backend, and each that stands in for another. Every request that meets a limit from then on is answered
    /// with a 503.
    ///
    /// Callers that [wait](crate::Limiter::wait) receive [`BackendError::Closed`] immediately.
    ///
    /// The backends are closed one after the other. Each has [`backend_timeout`](crate::TraffikBuilder::backend_timeout) for the
    /// changes of charges that wait, and as much again to close.
    ///
    /// # Errors
    ///
    /// Returns the first error if a backend cannot be closed, or [`BackendError::Timeout`] if it takes longer. The others are
    /// closed all the same.
    pub async fn close(&self) -> Result<(), BackendError> {
        self.app.lines.close();
        #[cfg(feature = "admin")]
        self.close_event_streams();
        self.app.table.close().await
    }

    /// Returns the number of charges since the start that may not have been settled or given back, because a backend did not
    /// answer, or too many changes waited. They count until they end by themselves. They are logged, at most once a second for
    /// each backend.
    #[must_use]
    pub fn lost_settlements(&self) -> u64 {
        self.app.table.stores.lost_settlements()
    }

    pub(crate) fn definition<T: Throttle>(&self) -> Result<&Arc<Definition>, ConfigError> {
        self.app.table.get::<T>(KnownBy::Met)
    }

    pub(crate) fn requests(&self) -> &RequestDefaults {
        &self.app.request
    }

    /// Returns how the address of a client is found, for a throttle that may have proxies of its own.
    pub(crate) fn address_by<'a>(&'a self, definition: &'a Definition) -> ClientAddress<'a> {
        let own = definition.settings.request.identity.as_ref().and_then(Identity::client_ip);
        ClientAddress { proxies: own.or(self.app.request.client_ip.as_ref()), nat64: &self.app.nat64 }
    }

    /// What it was warned of.
    pub(crate) fn warnings(&self) -> &WarningLog {
        &self.app.table.told
    }

    /// Returns the throttles of the app.
    pub(crate) fn table(&self) -> &ThrottleTable {
        &self.app.table
    }

    /// Makes a change, unless it is an error. Decisions that start afterwards see it, and callers that wait are asked for again.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Live) -> R) -> R {
        let result = self.app.table.changes.change(change);
        self.changed();
        result
    }

    pub(crate) fn try_change<R, E>(&self, change: impl FnOnce(&mut Live) -> Result<R, E>) -> Result<R, E> {
        let result = self.app.table.changes.try_change(change)?;
        self.changed();
        Ok(result)
    }

    /// Removes a limit by `remove`, and its local changes with it. No change is made in between.
    pub(crate) fn remove<R, E>(&self, uid: &str, remove: impl FnOnce() -> Result<R, E>) -> Result<R, E> {
        let removed = self.app.table.changes.remove(uid, remove)?;
        self.changed();
        Ok(removed)
    }

    /// Tells callers that wait, and streams of events, that limits were added, changed or removed.
    pub(crate) fn changed(&self) {
        self.app.lines.ask_again();
        #[cfg(feature = "admin")]
        self.app.table.observers().streams.changed();
    }

    /// Returns the changes since the start.
    #[inline]
    pub(crate) fn changes(&self) -> &Arc<Changes> {
        &self.app.table.changes
    }

    /// Returns `true` if both are handles of one app.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.app, &other.app)
    }

    /// Returns the client as this app counts it.
    #[inline]
    pub(crate) fn counted_as(&self, client: Client) -> Client {
        let client = if self.app.nat64.is_empty() { client } else { client.by_nat64(&self.app.nat64) };
        client.by_ipv6_network(self.app.ipv6_prefix)
    }

    /// Returns the limits of a client, and charges nothing.
    pub(crate) async fn look(&self, mut checks: Checks<'_>) -> Result<Limits, Error> {
        let changes = self.changes();
        if let Some(refusal) = changes.live().and_then(|live| put_in_force(&live, changes, &mut checks)) {
            return Ok(refusal);
        }
        let decided = match checks.store()? {
            Some(store) => checks.hits().as_ref().peek(store).await?,
            None => Decided::nothing(),
        };
        Ok(Limits::peeked(checks, decided))
    }

    /// Starts to wait for an admission. The caller joins the line in this call, and awaiting only receives the decision.
    pub(crate) fn wait(&self, demand: Demand, max: Duration) -> MaybeReady<'static, CheckResult> {
        self.app.lines.wait(demand, max)
    }

    /// Starts to wait for the turn of an outgoing call. Its line can be [held back](Self::hold_back).
    pub(crate) fn wait_outgoing(&self, demand: Demand, max: Duration) -> MaybeReady<'static, Waited> {
        self.app.lines.wait_outgoing(demand, max)
    }

    /// Holds a line of outgoing calls back for a time.
    pub(crate) fn hold_back(&self, demand: &Demand, time: Duration) {
        self.app.lines.hold_back_for(demand, time);
    }

    pub(crate) fn checks<T: Throttles>(&self, client: Client) -> Result<Checks<'_>, ConfigError> {
        let client = self.counted_as(client);
        Ok(T::define(&self.app.table, KnownBy::Met)?.map(|definition| Check::new(definition, client.clone())))
    }
}

/// Its namespace, and nothing of what is kept there.
impl fmt::Debug for Traffik {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffik").field("namespace", &self.namespace()).finish_non_exhaustive()
    }
}
