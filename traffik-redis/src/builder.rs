use std::{fmt, time::Duration};

use traffik_core::OutOfRange;

use crate::{
    backend::RedisBackend,
    client::{Client, Origin, Settings},
    error::Error,
    keys::Keys,
    refusals::Refusals,
};

/// Sets a [`RedisBackend`] up: see [`RedisBackend::builder`].
#[derive(Clone)]
#[must_use]
pub struct RedisBackendBuilder {
    settings: Settings,
    namespace: String,
    secret: Option<Vec<u8>>,
    refusal_max_age: Duration,
    refusal_capacity: usize,
}

impl RedisBackend {
    /// Creates a builder for an address:
    ///
    /// | address | for |
    /// |---|---|
    /// | `redis://user:password@host:6379/0` | a server, database 0 |
    /// | `rediss://..` | a server that speaks TLS, with the feature `rustls` |
    /// | `unix:///run/redis.sock?db=0` | a server behind a Unix socket |
    /// | `redis-cluster://host:7000?node=host:7001` | a cluster that has these nodes and others, with the feature `cluster` |
    /// | `redis-sentinel://host:26379/0?sentinelServiceName=main&node=host:26380` | the primary that sentinels name |
    ///
    /// Clusters and sentinels speak TLS as `rediss-cluster` and `rediss-sentinel`. Sentinels with credentials of their own
    /// take them as `&sentinelUsername=..&sentinelPassword=..`. `valkey` is the same as `redis`, `valkeys` as `rediss`.
    pub fn builder(address: impl Into<String>) -> RedisBackendBuilder {
        RedisBackendBuilder::new(Origin::Address(address.into()))
    }

    /// Creates a builder for a configuration of [fred] 10, for what an address cannot say, such as your own authorities for TLS.
    ///
    /// The backend uses `server`, `username`, `password`, `database`, `version` and `tls`, and ignores the rest: this crate
    /// sets timeouts and reconnection itself.
    ///
    /// [fred]: https://docs.rs/fred/10
    #[cfg(feature = "fred-10")]
    pub fn from_config(config: fred::types::config::Config) -> RedisBackendBuilder {
        RedisBackendBuilder::new(Origin::Config(Box::new(config)))
    }

    /// Creates a builder for a client of [fred] 10 that you have connected and share.
    ///
    /// The backend does not configure it. It keeps the promises of this crate only with:
    ///
    /// - `ConnectionConfig::max_command_attempts` of 1: a call that is sent again may be charged twice. Another value is
    ///   logged as an event of [`tracing`].
    /// - A `ReconnectPolicy` without a maximum of attempts. Without a policy the client never connects again.
    /// - `PerformanceConfig::default_command_timeout` and `ConnectionConfig::internal_command_timeout`, so that calls end.
    ///
    /// The backend neither watches this client for servers that hang nor closes it in
    /// [`close`](traffik_core::backend::Backend::close). A client for a cluster is an error.
    ///
    /// [fred]: https://docs.rs/fred/10
    #[cfg(feature = "fred-10")]
    pub fn from_client(client: fred::clients::Client) -> RedisBackendBuilder {
        RedisBackendBuilder::new(Origin::Client(client))
    }
}

impl RedisBackendBuilder {
    /// How long a call may take unless told otherwise.
    pub const DEFAULT_COMMAND_TIMEOUT: Duration = Duration::from_millis(50);

    /// How long a refusal is remembered unless told otherwise.
    pub const DEFAULT_REFUSAL_MAX_AGE: Duration = Duration::from_secs(1);

    /// How many refusals are remembered unless told otherwise.
    pub const DEFAULT_REFUSAL_CAPACITY: usize = 10_000;

    fn new(origin: Origin) -> Self {
        let settings = Settings {
            origin,
            username: None,
            password: None,
            pool_size: 1,
            command_timeout: Self::DEFAULT_COMMAND_TIMEOUT,
        };
        Self {
            settings,
            namespace: String::new(),
            secret: None,
            refusal_max_age: Self::DEFAULT_REFUSAL_MAX_AGE,
            refusal_capacity: Self::DEFAULT_REFUSAL_CAPACITY,
        }
    }

    /// What keeps the limits of this app apart from all others on the same Redis, such as `myapp:prod`. It has to be given.
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), ..self }
    }

    /// The key that secret clients, such as API keys, are digested under before they leave the process.
    ///
    /// It is the same in every process, long, random and known to nobody else: who has it can try out which client a digest
    /// stands for. With another one, clients whose keys are secret or long start fresh. Without one a secret client is an
    /// error.
    pub fn secret(self, secret: impl Into<Vec<u8>>) -> Self {
        Self { secret: Some(secret.into()), ..self }
    }

    /// How long a call to Redis may take before it is an error, 50 ms unless told otherwise. It may still run after that.
    ///
    /// A connection on which calls wait three times as long, and at least 150 ms, without any answer counts as dead.
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.settings.command_timeout = timeout;
        self
    }

    /// For how long a client that Redis has just refused is refused here without asking again, one second unless told
    /// otherwise: for the shorter of this and its wait. Zero asks Redis every time.
    ///
    /// Of a `SlidingWindowLog`, and of strategies of your own, a refusal tells only of the same cost at the same rate.
    ///
    /// What this process charges, gives back and resets is known at once. What others give back or reset, and a clock of the
    /// server that is set forward, may take so long to be learned.
    pub fn refusal_max_age(self, max_age: Duration) -> Self {
        Self { refusal_max_age: max_age, ..self }
    }

    /// How many refusals are remembered at most, 10 000 unless told otherwise. Each takes some 300 bytes, and one of a
    /// strategy of your own the log that it keeps, if any. If there are more, Redis is asked about those that were not asked
    /// about for longest.
    pub fn refusal_capacity(self, refusals: usize) -> Self {
        Self { refusal_capacity: refusals, ..self }
    }

    /// Sets the number of connections, which take turns. At least 1, which is the default.
    ///
    /// Calls of all requests share a connection without waiting for one another, so that more of them bring little: with
    /// one client the server is the bottleneck before the connection is. It is one for each node of a cluster.
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.settings.pool_size = connections;
        self
    }

    /// Who to be for the server, whatever the address says.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.settings.username = Some(username.into());
        self
    }

    /// The password for the server, whatever the address says.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.settings.password = Some(password.into());
        self
    }

    /// Connects, and insists on a server that can keep limits. Once it did, a connection that is lost is made again without
    /// end, and until then calls are errors.
    ///
    /// It warns, as an event of [`tracing`], of a server that may forget clients when its memory is full.
    ///
    /// # Errors
    ///
    /// When there is no namespace, when the address is none, when `pool_size` is 0, when the server cannot be reached within five seconds or turns
    /// the connection down, when it is older than 6.2 or a replica, and when the user may not do what limits take.
    pub async fn connect(self) -> Result<RedisBackend, Error> {
        let keys = self.keys()?;
        let client = Client::connect(&self.settings, &keys).await?;
        Ok(self.on(keys, client))
    }

    /// Connects in the background: the app comes up while the server is down, and calls are errors until it is there.
    ///
    /// What [`connect`](Self::connect) would have refused is an event of [`tracing`] then, at the level of an error, once.
    ///
    /// # Errors
    ///
    /// When there is no namespace, when the address is none, when `pool_size` is 0, and outside of a runtime of tokio's.
    pub fn connect_lazy(self) -> Result<RedisBackend, Error> {
        let keys = self.keys()?;
        let client = Client::connect_later(&self.settings, keys.clone())?;
        Ok(self.on(keys, client))
    }

    fn on(self, keys: Keys, client: Client) -> RedisBackend {
        let refusals = Refusals::new(self.refusal_capacity, self.refusal_max_age);
        RedisBackend::new(self.namespace, keys, client, self.settings.command_timeout, refusals)
    }

    fn keys(&self) -> Result<Keys, Error> {
        if self.namespace.is_empty() {
            return Err(Error::NoNamespace);
        }
        OutOfRange::check("RedisBackendBuilder::pool_size", self.settings.pool_size as u64, 1..=u64::MAX)?;
        Ok(Keys::new(&self.namespace, self.secret.as_deref()))
    }
}

/// Neither the address, which may hold a password, nor the secret.
impl fmt::Debug for RedisBackendBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBackendBuilder")
            .field("namespace", &self.namespace)
            .field("command_timeout", &self.settings.command_timeout)
            .field("pool_size", &self.settings.pool_size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_neither_password_nor_secret() {
        let builder = RedisBackend::builder("redis://:hunter2@localhost").namespace("myapp").secret(*b"hunter2");
        let builder = builder.username("hunter2").password("hunter2");
        let shown = format!("{builder:?}");
        assert!(shown.contains("myapp") && !shown.contains("hunter2"), "{shown}");
    }

    #[tokio::test]
    async fn a_namespace_has_to_be_given() {
        let error = RedisBackend::builder("redis://localhost").connect().await.unwrap_err().to_string();
        assert!(error.contains(".namespace("), "{error}");
    }

    #[tokio::test]
    async fn pool_of_zero_connections_is_an_error() {
        let builder = || RedisBackend::builder("redis://localhost").namespace("myapp").pool_size(0);
        for error in [builder().connect().await.unwrap_err(), builder().connect_lazy().unwrap_err()] {
            let words = "`RedisBackendBuilder::pool_size` is 0: set it to a value of at least 1";
            assert_eq!(error.to_string(), words);
        }
    }

    #[test]
    fn connecting_later_takes_a_runtime() {
        let error = RedisBackend::builder("redis://localhost").namespace("m").connect_lazy().unwrap_err().to_string();
        assert!(error.contains("tokio::main"), "{error}");
    }
}
