use std::{fmt, ops::RangeInclusive, sync::Arc, time::Duration};

use traffik_core::OutOfRange;

use crate::{
    backend::RedisBackend,
    check,
    client::{Client, Origin, Settings},
    error::Error,
    instruments::Counts,
    keys::Keys,
    refusals::Refusals,
    store::Store,
};

/// Builds a [`RedisBackend`]. See [`RedisBackend::builder`].
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
    /// | `redis-cluster://host:7000?node=host:7001` | a cluster with these and other nodes (feature `cluster`) |
    /// | `redis-sentinel://host:26379/0?sentinelServiceName=main&node=host:26380` | the primary that sentinels name |
    ///
    /// Clusters and sentinels use TLS with the schemes `rediss-cluster` and `rediss-sentinel`. Credentials for the
    /// sentinels themselves are `&sentinelUsername=..&sentinelPassword=..`. `?db=0` selects the database too, except in a
    /// cluster. Any other parameter is an error. `valkey` is the same as `redis`, and `valkeys` the same as `rediss`.
    pub fn builder(address: impl Into<String>) -> RedisBackendBuilder {
        RedisBackendBuilder::new(Origin::Address(address.into()))
    }

    /// Creates a builder for a configuration of [fred] 10.
    ///
    /// Use it for settings that an address cannot express, such as your own authorities for TLS. The backend uses
    /// `server`, `username`, `password`, `database`, `version` and `tls`. It ignores the rest, because this crate sets
    /// timeouts and reconnection itself.
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
    /// - `ConnectionConfig::max_command_attempts` of 1: a call that is sent again may be charged twice. Another value
    ///   is logged as a warning with [`tracing`].
    /// - A `ReconnectPolicy` without a maximum of attempts. Without a policy the client never connects again.
    /// - `PerformanceConfig::default_command_timeout` and `ConnectionConfig::internal_command_timeout`, so that calls
    ///   end.
    ///
    /// The backend does not watch this client for servers that hang, and
    /// [`close`](traffik_core::backend::Backend::close) does not close it. A client for a cluster is an error.
    ///
    /// [fred]: https://docs.rs/fred/10
    #[cfg(feature = "fred-10")]
    pub fn from_client(client: fred::clients::Client) -> RedisBackendBuilder {
        RedisBackendBuilder::new(Origin::Client(client))
    }
}

impl RedisBackendBuilder {
    /// The default of [`command_timeout`](Self::command_timeout): 50 ms.
    pub const DEFAULT_COMMAND_TIMEOUT: Duration = Duration::from_millis(50);

    /// The default of [`refusal_max_age`](Self::refusal_max_age): 1 second.
    pub const DEFAULT_REFUSAL_MAX_AGE: Duration = Duration::from_secs(1);

    /// The default of [`refusal_capacity`](Self::refusal_capacity): 10 000 refusals.
    pub const DEFAULT_REFUSAL_CAPACITY: usize = 10_000;

    /// The range of [`command_timeout`](Self::command_timeout) in microseconds: from 1 ms to a day.
    const COMMAND_TIMEOUT: RangeInclusive<u64> = 1_000..=86_400_000_000;

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

    /// Sets the namespace, such as `myapp:prod`. Required.
    ///
    /// The namespace separates the limits of this app from all others on the same Redis.
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), ..self }
    }

    /// Sets the key for the digests of secret clients, such as API keys. There is no default.
    ///
    /// Without a key, a check of a secret client returns an error. Use the same long, random key in every process, and
    /// keep it secret: with the key, an attacker can test which client a digest stands for. After a change of the key,
    /// clients whose keys are secret or long start with fresh limits.
    pub fn secret(self, secret: impl Into<Vec<u8>>) -> Self {
        Self { secret: Some(secret.into()), ..self }
    }

    /// Sets how long a call to Redis may take before it returns an error, from 1 ms to a day. Defaults to 50 ms. The call
    /// may still run after that.
    ///
    /// If calls wait on a connection for three times this long, and at least 150 ms, without any answer, the connection
    /// counts as dead and is replaced.
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.settings.command_timeout = timeout;
        self
    }

    /// Sets how long this process repeats a refusal of Redis without another call. Defaults to 1 second. Zero calls
    /// Redis every time.
    ///
    /// A refusal is repeated for the shorter of this time and its wait. For a `SlidingWindowLog`, and for your own
    /// strategies, it only applies to requests of the same cost at the same rate.
    ///
    /// Charges, refunds and resets of this process take effect immediately. Refunds and resets of other processes, and
    /// a server clock that is set forward, may take this long to be noticed.
    pub fn refusal_max_age(self, max_age: Duration) -> Self {
        Self { refusal_max_age: max_age, ..self }
    }

    /// Sets the maximum number of remembered refusals. Defaults to 10 000.
    ///
    /// Each takes some 300 bytes. One of your own strategy also takes the log that the strategy keeps, if any. When the
    /// maximum is reached, the least recently used refusals are dropped, and Redis decides about them again.
    pub fn refusal_capacity(self, refusals: usize) -> Self {
        Self { refusal_capacity: refusals, ..self }
    }

    /// Sets the number of connections, which take turns. Defaults to 1, which is also the minimum.
    ///
    /// The calls of all requests share a connection without waiting for one another. More connections bring little,
    /// because the server becomes the bottleneck before the connection does. In a cluster there is one connection per
    /// node.
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.settings.pool_size = connections;
        self
    }

    /// Sets the username for the server. Replaces the one in the address.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.settings.username = Some(username.into());
        self
    }

    /// Sets the password for the server. Replaces the one in the address.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.settings.password = Some(password.into());
        self
    }

    /// Connects, and checks that the server can keep limits.
    ///
    /// A connection that is lost later is retried without end. Until it is back, calls return errors. Logs a warning
    /// with [`tracing`] if the server may forget clients when its memory is full.
    ///
    /// # Errors
    ///
    /// Returns an error if:
    ///
    /// - there is no namespace, the address is invalid, `pool_size` is 0, or `command_timeout` is out of its range;
    /// - the server cannot be reached within five seconds, or rejects the connection;
    /// - the server is older than 6.2, a replica, or rejects writes, for instance because its memory is full;
    /// - the user lacks permissions that limits need.
    pub async fn connect(self) -> Result<RedisBackend, Error> {
        let keys = self.keys()?;
        let client = Client::new(&self.settings, Counts::new(&self.namespace))?;
        client.connect().await?;
        check::check(&client, &keys).await?;
        Ok(self.on(keys, client))
    }

    /// Connects in the background, so the app starts while the server is down. Calls return errors until the server is
    /// reachable.
    ///
    /// What [`connect`](Self::connect) would have returned as an error is logged once with [`tracing`], at level
    /// `ERROR`.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no namespace, if the address is invalid, if `pool_size` is 0, if `command_timeout` is
    /// out of its range, and outside of a Tokio runtime.
    pub fn connect_lazy(self) -> Result<RedisBackend, Error> {
        let keys = self.keys()?;
        let client = Client::new(&self.settings, Counts::new(&self.namespace))?;
        client.start();
        tokio::spawn(check::check_later(client.reachable(), keys.clone()));
        Ok(self.on(keys, client))
    }

    fn on(self, keys: Keys, client: Client) -> RedisBackend {
        let refusals = Refusals::new(self.refusal_capacity, self.refusal_max_age);
        RedisBackend(Arc::new(Store::new(self.namespace, keys, client, self.settings.command_timeout, None, refusals)))
    }

    fn keys(&self) -> Result<Keys, Error> {
        if self.namespace.is_empty() {
            return Err(Error::NoNamespace);
        }
        OutOfRange::check("RedisBackendBuilder::pool_size", self.settings.pool_size as u64, 1..=u64::MAX)?;
        let timeout = u64::try_from(self.settings.command_timeout.as_micros()).unwrap_or(u64::MAX);
        OutOfRange::check("RedisBackendBuilder::command_timeout: microseconds", timeout, Self::COMMAND_TIMEOUT)?;
        Ok(Keys::new(&self.namespace, self.secret.as_deref()))
    }
}

/// Omits the address, which may hold a password, and the secret.
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
    fn debug_output_shows_neither_password_nor_secret() {
        let builder = RedisBackend::builder("redis://:hunter2@localhost").namespace("myapp").secret(*b"hunter2");
        let builder = builder.username("hunter2").password("hunter2");
        let shown = format!("{builder:?}");
        assert!(shown.contains("myapp") && !shown.contains("hunter2"), "{shown}");
    }

    #[tokio::test]
    async fn missing_namespace_is_an_error() {
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

    #[tokio::test]
    async fn command_timeout_out_of_range_is_an_error() {
        let builder = |timeout| RedisBackend::builder("redis://localhost").namespace("myapp").command_timeout(timeout);
        let (shortest, longest) = (Duration::from_millis(1), Duration::from_secs(86_400));
        let micro = Duration::from_micros(1);
        for timeout in [Duration::ZERO, shortest - micro, longest + micro, Duration::MAX] {
            for error in [builder(timeout).connect().await.unwrap_err(), builder(timeout).connect_lazy().unwrap_err()] {
                assert!(matches!(error, Error::OutOfRange(_)), "{error}");
            }
        }
        let error = builder(Duration::ZERO).connect_lazy().unwrap_err().to_string();
        let words =
            "`RedisBackendBuilder::command_timeout: microseconds` is 0: set it to a value from 1000 to 86400000000";
        assert_eq!(error, words);
        for timeout in [shortest, longest] {
            assert!(builder(timeout).connect_lazy().is_ok(), "{timeout:?}");
        }
    }

    #[test]
    fn lazy_connection_outside_of_a_runtime_is_an_error() {
        let error = RedisBackend::builder("redis://localhost").namespace("m").connect_lazy().unwrap_err().to_string();
        assert!(error.contains("tokio::main"), "{error}");
    }
}
