use std::{fmt, sync::Arc, time::Duration};

use axum::http::request::Parts;
use tokio::sync::Semaphore;

use super::TraffikBuilder;
use crate::request::{AsyncIdentity, Bypass, ClientIp, Drain, Fields, Identity, IntoIdentity, Rule};

/// What an app does with requests.
impl TraffikBuilder {
    /// Sets a function that identifies clients, for throttles that have [`DefaultIdentity`](crate::DefaultIdentity) and no
    /// identity of their own. Defaults to the peer's IP address.
    ///
    /// See [`Settings::identity`](crate::Settings::identity).
    pub fn identity<F, C>(mut self, identity: F) -> Self
    where
        F: Fn(&Parts) -> C + Send + Sync + 'static,
        C: IntoIdentity,
    {
        self.request.identity = Some(Identity::by(identity));
        self
    }

    /// Sets the identity by an async function. See [`Settings::async_identity`](crate::Settings::async_identity).
    pub fn async_identity(mut self, identity: impl for<'a> AsyncIdentity<'a> + 'static) -> Self {
        self.request.identity = Some(Identity::by_async(identity));
        self
    }

    /// Knows clients by their address behind these proxies, rather than by the peer's: where nothing else names them, and
    /// where [`client_ip`](crate::client_ip) asks.
    ///
    /// ```
    /// use traffik::{ClientIp, MemoryBackend, Traffik};
    ///
    /// let proxies = ClientIp::behind(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"])?;
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp")).client_ip(proxies).build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    pub fn client_ip(mut self, client_ip: ClientIp) -> Self {
        self.request.client_ip = Some(client_ip);
        self
    }

    /// Lets all requests without a known peer address share one limit. Without this they are answered with an error that says how
    /// to make the address known.
    pub fn share_anonymous_clients(mut self) -> Self {
        self.request.share_anonymous = true;
        self
    }

    /// Sets the fields that show clients their limits, and the responses that have them. Defaults to
    /// [`Fields::standard`] in every response. A throttle can have [its own](crate::Settings::fields).
    ///
    /// ```
    /// use traffik::{Fields, MemoryBackend, Traffik};
    ///
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp")).fields(Fields::both().on_refusal()).build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    pub fn fields(mut self, fields: Fields) -> Self {
        self.request.throttles.responses.fields = fields;
        self
    }

    /// Adds a rule to the throttle with this uid, which may be another module's: it applies only to requests that match this
    /// rule and its own. See [`Rule`].
    ///
    /// ```
    /// use traffik::{Bypass, DefaultIdentity, MemoryBackend, Rate, Throttle, Traffik};
    ///
    /// # mod search {
    /// #     use traffik::{DefaultIdentity, Rate, Throttle};
    /// pub struct Search;
    ///
    /// impl Throttle for Search {
    ///     const UID: &'static str = "search";
    ///     const RATE: Rate = Rate::literal("30/min");
    ///     type Identity = DefaultIdentity;
    /// }
    /// # }
    ///
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp"))
    ///     .bypass("search", Bypass::path("/search/help"))
    ///     .register::<search::Search>()
    ///     .build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    ///
    /// A uid that no throttle has is a [`ConfigError::UnknownUid`](crate::ConfigError::UnknownUid). Throttles that macros
    /// declare are known; one whose `impl Throttle` is written by hand is when it is [registered](Self::register).
    pub fn rule(mut self, uid: &str, rule: Rule) -> Self {
        self.request.throttles.rules.add_rule(uid, rule);
        self
    }

    /// Adds a bypass to the throttle with this uid, which may be another module's. See [`Bypass`].
    pub fn bypass(mut self, uid: &str, bypass: Bypass) -> Self {
        self.request.throttles.rules.add_bypass(uid, bypass);
        self
    }

    /// Denies requests from these networks wherever they meet a throttle. See
    /// [`Settings::deny_networks`](crate::Settings::deny_networks).
    ///
    /// ```
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// let listed = "192.0.2.0/24\n2001:db8:bad::/48\n";
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp")).deny_networks(listed.lines()).build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    ///
    /// Requests that meet no throttle are not affected. An item that is neither an address nor a network is a
    /// [`ConfigError::Network`](crate::ConfigError::Network).
    pub fn deny_networks(mut self, networks: impl IntoIterator<Item: fmt::Display>) -> Self {
        self.request.throttles.denied.add(networks);
        self
    }

    /// Charges CORS preflights in every layer. See [`Settings::charge_preflights`](crate::Settings::charge_preflights).
    pub fn charge_preflights(mut self) -> Self {
        self.request.charge_preflights = true;
        self
    }

    /// The default of [`drain_limit`](Self::drain_limit): 16 MiB.
    pub const DEFAULT_DRAIN_LIMIT: u64 = Drain::BYTES;

    /// The default of [`drain_timeout`](Self::drain_timeout): 10 s.
    pub const DEFAULT_DRAIN_TIMEOUT: Duration = Drain::TIME;

    /// The default of [`drains_at_once`](Self::drains_at_once): 256.
    pub const DEFAULT_DRAINS_AT_ONCE: usize = Drain::BODIES;

    /// Sets how many bytes of the body of a refused request are read and dropped. A client that is still writing can then read
    /// the response. Defaults to 16 MiB. With 0 nothing is read.
    ///
    /// A body that is longer, or takes longer than [`drain_timeout`](Self::drain_timeout), ends with the connection, and many
    /// clients do not see the response then. The response does not wait for the body. Only bodies of the type
    /// [`Body`](axum::body::Body) that came by HTTP/1 are read.
    ///
    /// ```
    /// use traffik::{MemoryBackend, Traffik};
    ///
    /// // Uploads of up to 100 MB.
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp")).drain_limit(100_000_000).build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    pub fn drain_limit(mut self, bytes: u64) -> Self {
        self.request.drain.bytes = bytes;
        self
    }

    /// Sets how long the body of a refused request is read at most. Defaults to 10 s. With zero nothing is read. A client that
    /// sends slowly can hold its connection for that time.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.request.drain.time = timeout;
        self
    }

    /// Sets how many bodies of refused requests are read concurrently. Defaults to 256. Beyond that number a connection ends with
    /// its response. A server holds about 400 kB for a body that it reads.
    pub fn drains_at_once(mut self, bodies: usize) -> Self {
        self.request.drain.bodies = Arc::new(Semaphore::new(bodies.min(Semaphore::MAX_PERMITS)));
        self
    }
}
