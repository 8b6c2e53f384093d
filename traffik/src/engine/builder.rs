use std::{collections::HashSet, ops::RangeInclusive, sync::Arc, time::Duration};

use traffik_core::{
    OutOfRange,
    backend::Backend,
    client::{Nat64Prefix, Nat64PrefixError},
    clock::AnyClock,
    rate::Rate,
};

#[cfg(feature = "file")]
use super::limits_file::{FileHooks, FileState};
use super::{
    shared_state::SharedChanges,
    traffik::{App, Traffik},
};
use crate::{
    limit::{ConfigError, KnownBy, NewLimit, Settings, ThrottleTable, Throttles, changes::Changes},
    observe::Observers,
    on_error::{OnError, Policies},
    request::{RequestDefaults, warn_of_trust},
    store::{Store, Stores},
    warning::{Warning, WarningLog},
};

/// Sets up a [`Traffik`].
///
/// ```
/// use std::time::Duration;
/// use traffik::{MemoryBackend, Traffik};
///
/// let traffik = Traffik::builder(MemoryBackend::new("myapp")).backend_timeout(Duration::from_millis(50)).build()?;
/// # Ok::<(), traffik::ConfigError>(())
/// ```
#[derive(Debug)]
#[must_use]
pub struct TraffikBuilder {
    backend: Arc<dyn Backend>,
    /// That of the backend.
    backends_clock: AnyClock,
    named: Vec<Named>,
    /// The app's own.
    clock: Option<AnyClock>,
    backend_timeout: Duration,
    on_error: Option<OnError>,
    ipv6_prefix: u8,
    nat64: Vec<Result<Nat64Prefix, Nat64PrefixError>>,
    is_strict: bool,
    told: WarningLog,
    throttles: Vec<Registration>,
    added: Vec<NewLimit>,
    pub(super) observers: Observers,
    /// The number of bytes of the secret for digests in logs.
    pub(super) log_secret: Option<usize>,
    pub(crate) request: RequestDefaults,
    #[cfg(feature = "file")]
    pub(super) limits_file: Option<Arc<std::path::Path>>,
    #[cfg(feature = "file")]
    pub(super) file_hooks: FileHooks,
}

/// A backend that throttles name, and its clock.
#[derive(Debug)]
struct Named {
    name: &'static str,
    backend: Arc<dyn Backend>,
    clock: AnyClock,
}

/// Makes a throttle, or several, known to an app.
type Registration = fn(&Traffik) -> Result<(), ConfigError>;

impl TraffikBuilder {
    /// The default of [`backend_timeout`](Self::backend_timeout): 100 ms.
    pub const DEFAULT_BACKEND_TIMEOUT: Duration = Duration::from_millis(100);

    /// The range of [`backend_timeout`](Self::backend_timeout) in microseconds: from 1 ms to a day.
    const BACKEND_TIMEOUT: RangeInclusive<u64> = 1_000..=86_400_000_000;

    /// The default of [`ipv6_prefix`](Self::ipv6_prefix).
    pub(super) const IPV6_PREFIX: u8 = 64;

    pub(super) fn new(backend: impl Backend) -> Self {
        Self {
            backends_clock: backend.clock(),
            backend: Arc::new(backend),
            named: Vec::new(),
            clock: None,
            backend_timeout: Self::DEFAULT_BACKEND_TIMEOUT,
            on_error: None,
            ipv6_prefix: Self::IPV6_PREFIX,
            nat64: Vec::new(),
            is_strict: false,
            told: WarningLog::default(),
            throttles: Vec::new(),
            added: Vec::new(),
            observers: Observers::default(),
            log_secret: None,
            request: RequestDefaults::default(),
            #[cfg(feature = "file")]
            limits_file: None,
            #[cfg(feature = "file")]
            file_hooks: FileHooks::default(),
        }
    }

    /// Registers an additional backend under `name`. Throttles select it with [`Settings::backend`](crate::Settings::backend).
    ///
    /// For example, an app can keep its limits in Redis, and one limit that every request checks in memory. The backends may
    /// have the same namespace. [`Traffik::clear`] and [`Traffik::close`] apply to all of them.
    pub fn backend(mut self, name: &'static str, backend: impl Backend) -> Self {
        let clock = backend.clock();
        self.named.push(Named { name, backend: Arc::new(backend), clock });
        self
    }

    /// Sets the clock that measures deadlines and delays. Defaults to the backend's.
    ///
    /// Decisions always use the clock of their backend. A test that moves time by hand gives its clock to the backend.
    pub fn clock(self, clock: impl Into<AnyClock>) -> Self {
        Self { clock: Some(clock.into()), ..self }
    }

    /// Sets the longest time that a request waits for a decision, from 1 ms to a day. Defaults to 100 ms.
    ///
    /// Retries and a fallback are part of this time: see [`on_error`](crate::on_error). A backend in memory never waits.
    pub fn backend_timeout(self, timeout: Duration) -> Self {
        Self { backend_timeout: timeout, ..self }
    }

    /// Sets what happens to a request when a backend does not answer. Defaults to [`Refuse`](crate::on_error::Refuse).
    ///
    /// A throttle can have its own policy: [`Settings::on_error`](crate::Settings::on_error).
    ///
    /// ```
    /// use traffik::{MemoryBackend, Traffik, breaker::CircuitBreaker, on_error::Failover};
    ///
    /// # let redis = MemoryBackend::new("myapp");
    /// let traffik = Traffik::builder(redis)
    ///     .on_error(Failover::to(MemoryBackend::new("myapp:fallback"))
    ///         .breaker(CircuitBreaker::builder().failure_threshold(10).success_threshold(3).build()?)
    ///         .retries(2))
    ///     .build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    pub fn on_error(self, on_error: impl Into<OnError>) -> Self {
        Self { on_error: Some(on_error.into()), ..self }
    }

    /// Sets the number of leading bits that count of an IPv6 address, from 0 to 128. Defaults to 64, which is what a single
    /// customer usually has. IPv4 addresses count whole.
    pub fn ipv6_prefix(self, bits: u8) -> Self {
        Self { ipv6_prefix: bits, ..self }
    }

    /// Counts clients of a translator (NAT64) by the IPv4 address that it embeds behind this prefix of 32, 40, 48, 56, 64
    /// or 96 bits. May be called several times.
    ///
    /// It is for the prefixes of operators and for `64:ff9b:1::/48`, of which each network chooses a part. Other forms, such
    /// as `64:ff9b::/96` and 6to4, [need no setting](crate::Client::by_ipv6_network). A text that is not such a prefix is an
    /// error of [`build`](Self::build).
    ///
    /// ```
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp")).nat64_prefix("64:ff9b:1:fffe::/96").build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    pub fn nat64_prefix(mut self, prefix: &str) -> Self {
        self.nat64.push(prefix.parse());
        self
    }

    /// Checks a throttle, or each of a tuple, in [`build`](Self::build), rather than when it is first used.
    pub fn register<T: Throttles>(mut self) -> Self {
        self.throttles.push(Traffik::register::<T>);
        self
    }

    /// Adds a limit that is a value, and no type. See [`Traffik::add_limit`], which does the same while the app runs.
    ///
    /// ```
    /// use traffik::{MemoryBackend, Settings, Traffik};
    ///
    /// # let rows = [("acme", "100/min"), ("globex", "1000/min")];
    /// let mut builder = Traffik::builder(MemoryBackend::new("myapp"));
    /// for (tenant, rate) in rows {
    ///     builder = builder.add_limit(format!("tenant:{tenant}"), rate.parse()?, Settings::new());
    /// }
    /// let traffik = builder.build()?;
    /// assert_eq!(traffik.limit("tenant:globex")?.info()?.rate().value(), "1000/min".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// A limit that cannot work, or that has the uid of another limit, is an error of [`build`](Self::build).
    #[track_caller]
    pub fn add_limit(mut self, uid: impl Into<Arc<str>>, rate: Rate, settings: Settings) -> Self {
        self.added.push(NewLimit::added(uid.into(), rate, settings));
        self
    }

    /// Returns an error from [`build`](Self::build) for every throttle that this app cannot use, whether it is registered or
    /// only declared somewhere in the program. For a program with a single app.
    ///
    /// Without this the app warns of a declared throttle that names a backend which the app lacks, has the uid of another, or is
    /// stacked on a handler with throttles of another backend. The first request that meets the throttle is then answered with
    /// the error.
    ///
    /// ```
    /// use traffik::{Traffik, backend::MemoryBackend};
    ///
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp")).strict().build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    pub fn strict(self) -> Self {
        Self { is_strict: true, ..self }
    }

    /// Does not warn of this, which is meant so. See [`warning`](crate::warning).
    pub fn silence(mut self, warning: Warning) -> Self {
        self.told.silence(warning);
        self
    }

    /// Returns the handle.
    ///
    /// Checks each throttle that is [registered](Self::register), and each that a macro declares anywhere in the program.
    ///
    /// # Errors
    ///
    /// Returns an error if
    ///
    /// - a throttle cannot work in any app: its strategy does not go with its rate, a rule of it cannot be used, or it names
    ///   its clients twice;
    /// - a registered throttle names a backend that the app lacks, or has the uid of another registered throttle, or the
    ///   throttles of a registered tuple are kept in different backends. For throttles that are only declared this is a
    ///   [warning](crate::warning), unless the app is [strict](Self::strict);
    /// - rules are added to a uid that no throttle has;
    /// - a network to [deny](Self::deny_networks) is neither an address nor a network;
    /// - two backends have one name, or one is named `default`, which is the app's own;
    /// - a setting is out of its range;
    /// - the limits file, if there is one, is missing or invalid.
    pub fn build(self) -> Result<Traffik, ConfigError> {
        let traffik = self.build_unwatched()?;
        traffik.watch_shared();
        #[cfg(feature = "file")]
        traffik.watch_limits();
        Ok(traffik)
    }

    /// Starts nothing that goes on.
    pub(super) fn build_unwatched(self) -> Result<Traffik, ConfigError> {
        self.check_names()?;
        OutOfRange::check("TraffikBuilder::ipv6_prefix", self.ipv6_prefix.into(), 0..=128)?;
        let timeout = u64::try_from(self.backend_timeout.as_micros()).unwrap_or(u64::MAX);
        OutOfRange::check("TraffikBuilder::backend_timeout: microseconds", timeout, Self::BACKEND_TIMEOUT)?;
        if let Some(bytes) = self.log_secret {
            let range = Self::LOG_SECRET as u64..=u64::MAX;
            OutOfRange::check("the number of bytes of TraffikBuilder::log_secret", bytes as u64, range)?;
        }
        if let Some(on_error) = &self.on_error {
            on_error.check()?;
        }
        self.request.throttles.denied.check()?;
        if let Some(client_ip) = &self.request.client_ip {
            warn_of_trust(client_ip, None, &self.told);
        }
        #[cfg(feature = "file")]
        let start = self.limits_file.as_ref().map(|path| FileState::read(path, self.file_hooks)).transpose()?;
        let store = |name, backend, clock: &AnyClock| {
            let clock = self.clock.as_ref().unwrap_or(clock).clone();
            Store::new(name, backend, clock, self.backend_timeout)
        };
        let own = store(Store::OWN, self.backend, &self.backends_clock);
        let named = self.named.into_iter().map(|Named { name, backend, clock }| store(name, backend, &clock));
        let stores = Stores::new(own, named);
        let policies = Policies::new(self.on_error, &stores);
        let clock = self.clock.unwrap_or(self.backends_clock);
        let changes = Changes::new(clock.clone());
        let table =
            ThrottleTable::new(stores, policies, self.told, self.request.throttles.clone(), self.observers, changes);
        #[cfg(feature = "file")]
        let (limits_file, file) = start.unzip();
        #[cfg(feature = "file")]
        let table = match &file {
            Some(file) => table.with_start_settings(file.start_settings()),
            None => table,
        };
        let traffik = Traffik::from(App {
            clock,
            ipv6_prefix: self.ipv6_prefix,
            nat64: self.nat64.into_iter().collect::<Result<_, _>>()?,
            table,
            request: self.request,
            lines: Arc::default(),
            shared: SharedChanges::default(),
            #[cfg(feature = "file")]
            limits_file,
        });
        self.throttles.into_iter().try_for_each(|register| register(&traffik))?;
        traffik.app.table.check_declared(self.is_strict)?;
        for new in self.added {
            traffik.app.table.add(new, KnownBy::Added)?;
        }
        traffik.app.table.check_rules()?;
        #[cfg(feature = "file")]
        if let Some(file) = file {
            traffik.start_limits(&file)?;
        }
        Ok(traffik)
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        let mut names = HashSet::from([Store::OWN]);
        match self.named.iter().find(|named| !names.insert(named.name)) {
            Some(Named { name, .. }) => Err(ConfigError::DuplicateBackend { name: (*name).into() }),
            None => Ok(()),
        }
    }
}

impl From<App> for Traffik {
    fn from(app: App) -> Self {
        Self { app: Arc::new(app) }
    }
}

impl Traffik {
    /// Returns a handle that keeps its limits in `backend`, and leaves everything else at its default.
    ///
    /// # Errors
    ///
    /// The same as [`Traffik::builder(backend).build()`](TraffikBuilder::build).
    pub fn new(backend: impl Backend) -> Result<Self, ConfigError> {
        Self::builder(backend).build()
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
            nat64: Box::default(),
            table: ThrottleTable::default(),
            request: RequestDefaults::default(),
            lines: Arc::default(),
            shared: SharedChanges::default(),
            #[cfg(feature = "file")]
            limits_file: None,
        })
    }
}
