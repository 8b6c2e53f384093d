use std::fmt;

use axum::http::{request::Parts, response};
use traffik_core::client::Client;

use super::Settings;
use crate::request::{
    AsyncCost, AsyncIdentity, AsyncRate, BackendOf, Bypass, ClientIp, CostOf, Fields, Identity, IntoCost, IntoIdentity,
    IntoRate, RateOf, Rule,
};

/// Settings that depend on the request.
impl Settings {
    /// Sets a function of the request that identifies the client. [`identity`](crate::identity) has functions for headers, API
    /// keys, tokens, cookies and extensions.
    ///
    /// ```
    /// use traffik::{Client, EXEMPTED, Settings};
    ///
    /// /// Set by the middleware that authenticates the request.
    /// #[derive(Clone)]
    /// enum User {
    ///     Staff,
    ///     Customer(u64),
    /// }
    ///
    /// let settings = Settings::new().identity(|parts| match parts.extensions.get::<User>() {
    ///     Some(User::Staff) => EXEMPTED,
    ///     Some(User::Customer(id)) => Client::from(("customer", *id)),
    ///     None => Client::from("not logged in"),
    /// });
    /// ```
    pub fn identity<F, C>(mut self, identity: F) -> Self
    where
        F: Fn(&Parts) -> C + Send + Sync + 'static,
        C: IntoIdentity,
    {
        self.request.identity = Some(Identity::by(identity));
        self
    }

    /// Sets an async function of the request that identifies the client.
    ///
    /// ```
    /// use axum::{http::{StatusCode, request::Parts}};
    /// use traffik::{Client, Settings};
    ///
    /// async fn by_session(parts: &Parts) -> Result<Client, StatusCode> {
    ///     let session = parts.headers.get("x-session").ok_or(StatusCode::UNAUTHORIZED)?;
    ///     Ok(Client::from(("user", user_of(session.as_bytes()).await)))
    /// }
    /// # async fn user_of(_: &[u8]) -> u64 { 42 }
    ///
    /// let settings = Settings::new().async_identity(by_session);
    /// ```
    pub fn async_identity(mut self, identity: impl for<'a> AsyncIdentity<'a> + 'static) -> Self {
        self.request.identity = Some(Identity::by_async(identity));
        self
    }

    /// Identifies the client by its address behind these proxies, in place of the app's proxies. For routes that
    /// requests reach by another path.
    ///
    /// ```
    /// use traffik::{ClientIp, DefaultIdentity, ForwardedHeader, Rate, Settings, Throttle};
    ///
    /// /// Called by the payment provider, which bypasses the CDN.
    /// struct Webhooks;
    ///
    /// impl Throttle for Webhooks {
    ///     const UID: &'static str = "payments:webhooks";
    ///     const RATE: Rate = Rate::literal("100/s");
    ///     type Identity = DefaultIdentity;
    ///
    ///     fn settings() -> Settings {
    ///         Settings::new().client_ip(ClientIp::behind_hops(1).header(ForwardedHeader::XRealIp))
    ///     }
    /// }
    /// ```
    pub fn client_ip(mut self, client_ip: ClientIp) -> Self {
        self.request.identity = Some(Identity::by_address(client_ip));
        self
    }

    /// Adds a rule: the throttle applies only to requests that match this rule and all others. See [`Rule`].
    ///
    /// For other requests the throttle does nothing: it identifies no client, calls no backend, and adds no field.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.request.applies.add_rule(rule);
        self
    }

    /// Adds a bypass: the throttle does not apply to requests that match it, whatever the rules are. See [`Bypass`].
    pub fn bypass(mut self, bypass: Bypass) -> Self {
        self.request.applies.add_bypass(bypass);
        self
    }

    /// Denies requests from these networks: they get a 403, before any rule, identity or limit. May be called several times.
    ///
    /// ```
    /// use traffik::{DefaultIdentity, Rate, Settings, Throttle};
    ///
    /// struct SignUp;
    ///
    /// impl Throttle for SignUp {
    ///     const UID: &'static str = "accounts:sign-up";
    ///     const RATE: Rate = Rate::literal("10/hour");
    ///     type Identity = DefaultIdentity;
    ///
    ///     fn settings() -> Settings {
    ///         Settings::new().deny_networks(["192.0.2.0/24", "198.51.100.7", "2001:db8:bad::/48"])
    ///     }
    /// }
    /// ```
    ///
    /// The client is the one at the address of the peer, or at the address behind the proxies of the app or of
    /// [the throttle](Self::client_ip), whatever the throttle's identity is. An IPv6 address that
    /// [embeds](crate::Client::by_ipv6_network) an IPv4 address is compared by both. A long list takes a binary search.
    ///
    /// A request without a known address is not denied. Neither is a [`ClientLimiter`](crate::ClientLimiter), which has no
    /// request. A [disabled](crate::Traffik::disabled) app denies nothing. A denied request charges nothing, and keeps the
    /// charges of throttles that it met before.
    ///
    /// To deny a network in the whole app, use [`TraffikBuilder::deny_networks`](crate::TraffikBuilder::deny_networks). An item
    /// that is neither an address nor a network is a [`ConfigError::Rule`](crate::ConfigError::Rule) when the app is built.
    pub fn deny_networks(mut self, networks: impl IntoIterator<Item: fmt::Display>) -> Self {
        self.request.denied.add(networks);
        self
    }

    /// Charges CORS preflights in a [`throttle_layer`](crate::throttle_layer) like other requests. By default a layer
    /// lets them pass without a charge.
    ///
    /// A browser sends a preflight before a request. If the preflight is refused, the page cannot see why. A throttle
    /// in front of a handler, as an argument or an attribute, always charges preflights.
    ///
    /// A preflight is any OPTIONS request with the fields `Origin` and `Access-Control-Request-Method`. Charge
    /// preflights if handlers behind the layer answer OPTIONS, as `any` and fallbacks do.
    pub fn charge_preflights(mut self) -> Self {
        self.request.charge_preflights = true;
        self
    }

    /// Refunds the charge of a request if its response meets this condition. Of several conditions one suffices.
    ///
    /// [`refund_if`](crate::refund_if) has conditions for statuses. A login of which only failures count:
    ///
    /// ```
    /// use traffik::{Settings, refund_if};
    ///
    /// let settings = Settings::new().refund_if(refund_if::success);
    /// ```
    ///
    /// A function of the status, the version, the headers and the extensions:
    ///
    /// ```
    /// use axum::http::response;
    /// use traffik::Settings;
    ///
    /// fn was_cached(response: &response::Parts) -> bool {
    ///     response.headers.get("x-cache").is_some_and(|cache| cache == "hit")
    /// }
    ///
    /// let settings = Settings::new().refund_if(was_cached);
    /// ```
    ///
    /// The charge is made before the handler runs, so concurrent requests cannot exceed the limit meanwhile. The condition is
    /// evaluated once, when the head of the response passes [`Traffik::layer`](crate::Traffik::layer): it sees what middleware
    /// inside of the layer did, and nothing outside. The fields of the response show the charge as refunded. A response without
    /// a head keeps the charge: if the client disconnects, a timeout outside of the layer fires, or a handler panics. Otherwise a
    /// client could avoid the charge by disconnecting. A charge that the handler [settled](crate::Permit::settle) stays as it is.
    ///
    /// It needs `traffik.layer()`: without it, the request is answered with a 500 that says so. It excludes
    /// [`Concurrency`](struct@crate::strategy::Concurrency), whose permits end by themselves, a
    /// [queue](struct@crate::strategy::LeakyBucketWithQueue), and messages of WebSockets. Outside of a request, a
    /// [`ClientLimiter`](crate::ClientLimiter) has no response, and does not evaluate it: refund its [`Permit`](crate::Permit).
    pub fn refund_if(mut self, condition: impl Fn(&response::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.request.refund_if.add(condition);
        self
    }

    /// Sets the fields that show this limit, and the responses that have them. Defaults to the setting of the
    /// [app](crate::TraffikBuilder::fields).
    ///
    /// In a response to a request that met several limits, the standard fields name those limits whose setting includes them. The
    /// `X-RateLimit` fields show the tightest limit of those whose setting includes these.
    ///
    /// ```
    /// use traffik::{Fields, Settings};
    ///
    /// let settings = Settings::new().fields(Fields::standard().on_refusal());
    /// ```
    pub fn fields(mut self, fields: Fields) -> Self {
        self.request.fields = Some(fields);
        self
    }

    /// Hides the limit from clients. It refuses like others, with a status and `Retry-After`, but no field, `detail` or
    /// `violated-policies` names it. It precedes [`fields`](Self::fields).
    ///
    /// For example a limit of the whole service, whose state is of no concern to a client:
    ///
    /// ```
    /// use traffik::{Client, DefaultIdentity, Rate, Settings, Throttle};
    ///
    /// struct Service;
    ///
    /// impl Throttle for Service {
    ///     const UID: &'static str = "hidden:service";
    ///     const RATE: Rate = Rate::literal("5000/s");
    ///     type Identity = DefaultIdentity;
    ///
    ///     fn settings() -> Settings {
    ///         Settings::new().identity(|_| Client::from("everyone")).hidden().refuse_with_503()
    ///     }
    /// }
    /// ```
    ///
    /// The application still sees it: in [`Limits`](crate::Limits), in logs, and in a [`Responder`](crate::Responder) of its
    /// own, which finds out by [`Limit::is_hidden`](crate::Limit::is_hidden).
    pub fn hidden(mut self) -> Self {
        self.request.is_hidden = true;
        self
    }

    /// Makes the refusal a 503 instead of a 429, and status 14 (`UNAVAILABLE`) instead of 8 for gRPC. For a limit of the whole
    /// service, which a client may meet without having done anything wrong.
    ///
    /// If another limit without this setting refuses the same request, the response is a 429. A
    /// [`Responder`](crate::Responder) of your own finds the status in [`Limited::status`](crate::Limited::status).
    pub fn refuse_with_503(mut self) -> Self {
        self.request.refuses_with_503 = true;
        self
    }

    /// Sets the cost of a request by a function of the request.
    ///
    /// The function runs first, once for each decision. A cost of 0 skips the identity and the backend. A request that
    /// costs more than the limit can hold is refused for good: its 429 has no `Retry-After`, and the body says so.
    ///
    /// The cost of a [`ClientLimiter`](crate::ClientLimiter), which has no request, defaults to [`cost`](Self::cost).
    ///
    /// ```
    /// use axum::http::{StatusCode, header::CONTENT_LENGTH, request::Parts};
    /// use traffik::Settings;
    ///
    /// /// Charges one for each started kilobyte, and refuses requests without a length.
    /// fn by_size(parts: &Parts) -> Result<u64, StatusCode> {
    ///     let length = parts.headers.get(CONTENT_LENGTH).ok_or(StatusCode::LENGTH_REQUIRED)?;
    ///     let bytes = length.to_str().ok().and_then(|bytes| bytes.parse::<u64>().ok()).ok_or(StatusCode::BAD_REQUEST)?;
    ///     Ok(bytes.div_ceil(1000))
    /// }
    ///
    /// let settings = Settings::new().cost_of(by_size);
    /// ```
    pub fn cost_of<F, C>(mut self, cost: F) -> Self
    where
        F: Fn(&Parts) -> C + Send + Sync + 'static,
        C: IntoCost,
    {
        self.request.cost = Some(CostOf::by(cost));
        self
    }

    /// Sets the cost of a request by an async function. See [`cost_of`](Self::cost_of).
    ///
    /// ```
    /// use axum::http::request::Parts;
    /// use traffik::Settings;
    ///
    /// async fn by_report(parts: &Parts) -> u64 {
    ///     rows_of(parts.uri.path()).await / 1000
    /// }
    /// # async fn rows_of(_: &str) -> u64 { 42 }
    ///
    /// let settings = Settings::new().async_cost_of(by_report);
    /// ```
    pub fn async_cost_of(mut self, cost: impl for<'a> AsyncCost<'a> + 'static) -> Self {
        self.request.cost = Some(CostOf::by_async(cost));
        self
    }

    /// Sets the rate by a function of the request and its client: by plan or by tier, for example.
    ///
    /// The function runs last, once for each decision. It does not run for a request with a cost of 0, for an
    /// [exempt](crate::EXEMPTED) client, or for a limit that was charged before.
    /// [`Rate::UNLIMITED`](crate::Rate::UNLIMITED) admits the request without counting it.
    ///
    /// A change of the rate keeps what the client has used. The guide describes this for each strategy, in
    /// `docs/strategies.md#when-the-rate-changes`. A rate that the strategy does not support is answered with a 500,
    /// and logged.
    ///
    /// The rate of a [`ClientLimiter`](crate::ClientLimiter), which has no request, defaults to [`RATE`](crate::Throttle::RATE).
    ///
    /// ```
    /// use axum::http::request::Parts;
    /// use traffik::{Client, Rate, Settings};
    ///
    /// /// Set by the middleware that authenticates the request.
    /// #[derive(Clone)]
    /// enum Plan {
    ///     Trial,
    ///     Business,
    ///     Partner,
    /// }
    ///
    /// fn by_plan(parts: &Parts, _: &Client) -> Rate {
    ///     match parts.extensions.get::<Plan>() {
    ///         Some(Plan::Partner) => Rate::UNLIMITED,
    ///         Some(Plan::Business) => const { Rate::literal("1000/min") },
    ///         Some(Plan::Trial) | None => const { Rate::literal("10/min") },
    ///     }
    /// }
    ///
    /// let settings = Settings::new().rate_of(by_plan);
    /// ```
    pub fn rate_of<F, R>(mut self, rate: F) -> Self
    where
        F: Fn(&Parts, &Client) -> R + Send + Sync + 'static,
        R: IntoRate,
    {
        self.request.rate = Some(RateOf::by(rate));
        self
    }

    /// Chooses the backend by a function of the request that returns its name: that of the tenant or the region, for example.
    /// [`TraffikBuilder::backend`](crate::TraffikBuilder::backend) registers backends. `"default"` is the app's own.
    ///
    /// ```
    /// use axum::http::request::Parts;
    /// use traffik::{DefaultIdentity, MemoryBackend, Rate, Settings, Throttle, Traffik};
    ///
    /// /// Set by the middleware that authenticates the request.
    /// #[derive(Clone)]
    /// struct Region(&'static str);
    ///
    /// fn region(parts: &Parts) -> &'static str {
    ///     parts.extensions.get::<Region>().map_or("default", |region| region.0)
    /// }
    ///
    /// struct Search;
    ///
    /// impl Throttle for Search {
    ///     const UID: &'static str = "search:by-region";
    ///     const RATE: Rate = Rate::literal("100/min");
    ///     type Identity = DefaultIdentity;
    ///
    ///     fn settings() -> Settings {
    ///         Settings::new().backend_of(region)
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (own, eu, us) = (MemoryBackend::new("myapp"), MemoryBackend::new("myapp"), MemoryBackend::new("myapp"));
    /// let traffik = Traffik::builder(own).backend("eu", eu).backend("us", us).register::<Search>().build()?;
    ///
    /// // Without a request, the caller names it.
    /// let permit = traffik.limiter::<Search>("alice").backend("eu").check().await?;
    /// assert_eq!(permit.tightest().remaining(), 99);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The function is called once for each decision, after the identity. A client has a limit of its own in each backend. Everything
    /// about a charge stays in the backend that made it: its permit, refunds, settlements, waiting callers, and the messages of a
    /// WebSocket, for which its handshake chooses.
    ///
    /// - A name that the app does not have is a [`ConfigError::NoBackend`](crate::ConfigError::NoBackend): the response is a 500 that
    ///   names it and the backends that there are. The request does not pass.
    /// - One decision is made in one backend. Throttles of a tuple for which a request chooses different ones are a
    ///   [`ConfigError::TwoBackends`](crate::ConfigError::TwoBackends).
    /// - Without a request, a check that names no [`backend`](crate::ClientLimiter::backend) is a
    ///   [`ConfigError::NoBackendChosen`](crate::ConfigError::NoBackendChosen). [Outgoing](crate::outgoing) calls name none, so they
    ///   need another throttle.
    /// - [Changes](crate::control), blocks and penalties are about the limit, in all of its backends. If a client of one tenant may
    ///   be a client of another, make the tenant a part of its identity.
    /// - Each backend has its own error policy and breaker. The backends of an app share its fallback.
    /// - With [`backend`](Self::backend) it is a [`ConfigError::BackendTwice`](crate::ConfigError::BackendTwice).
    pub fn backend_of<N: AsRef<str>>(mut self, name: impl Fn(&Parts) -> N + Send + Sync + 'static) -> Self {
        self.request.backend = Some(BackendOf::by(name));
        self
    }

    /// Sets the rate by an async function of the request and its client. See [`rate_of`](Self::rate_of).
    ///
    /// ```
    /// use axum::http::{StatusCode, request::Parts};
    /// use traffik::{Client, Rate, Settings};
    ///
    /// async fn by_contract(_: &Parts, client: &Client) -> Result<Rate, StatusCode> {
    ///     let contract = contract_of(client).await.ok_or(StatusCode::PAYMENT_REQUIRED)?;
    ///     contract.parse().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    /// }
    /// # async fn contract_of(_: &Client) -> Option<String> { Some("100/min".to_owned()) }
    ///
    /// let settings = Settings::new().async_rate_of(by_contract);
    /// ```
    pub fn async_rate_of(mut self, rate: impl for<'a> AsyncRate<'a> + 'static) -> Self {
        self.request.rate = Some(RateOf::by_async(rate));
        self
    }
}
