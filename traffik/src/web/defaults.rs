//! What the web needs to know of an app and of a throttle.

use std::any::TypeId;

use axum::http::request::Parts;

use super::{
    client_ip::{ClientIp, Watch},
    cost::CostOf,
    function::Source,
    identity::{AsyncIdentifier, Identity, IntoIdentity},
    rate::RateOf,
    response::{AnyResponder, Responder},
    rules::{Applies, ByUid, Bypass, Rule},
    uploads::Drain,
};
use crate::{
    engine::TraffikBuilder,
    limit::{ConfigError, DefaultIdentity, Settings, Throttle},
    observe::LogThrottle,
    warning::{Told, Warning},
};

/// An app's defaults.
#[derive(Debug, Default)]
pub(crate) struct WebDefaults {
    pub(super) identity: Option<Identity>,
    pub(super) client_ip: Option<ClientIp>,
    pub(super) share_anonymous: bool,
    pub(super) responder: AnyResponder,
    pub(super) x_ratelimit: bool,
    pub(super) drain: Drain,
    pub(super) outages: LogThrottle,
    pub(super) strangers: LogThrottle,
    /// Rates of requests with which a throttle cannot work.
    pub(super) unworkable: LogThrottle,
    pub(super) watch: Watch,
    pub(super) charge_preflights: bool,
    /// What is added to throttles of other modules.
    pub(crate) rules: ByUid,
}

impl WebDefaults {
    /// Warns of what is probably wrong in it.
    pub(crate) fn warn(&self, told: &Told) {
        if let Some(client_ip) = &self.client_ip {
            warn_of_trust(client_ip, None, told);
        }
    }
}

fn warn_of_trust(client_ip: &ClientIp, uid: Option<&'static str>, told: &Told) {
    let warning = Warning::TrustsEveryone;
    if client_ip.trusts_everyone() && told.is_news(warning, uid) {
        tracing::warn!(
            warning = warning.name(),
            docs = warning.docs(),
            uid,
            "a `ClientIp` trusts every address, so that whoever writes the header is whoever he likes: name the networks of \
             your proxies, or say with `.max_hops(..)` how many there are"
        );
    }
}

/// A throttle's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct WebSettings {
    pub(super) cost: Option<CostOf>,
    pub(super) identity: Option<Identity>,
    pub(super) rate: Option<RateOf>,
    pub(super) responder: Option<AnyResponder>,
    pub(super) charge_preflights: bool,
    pub(crate) applies: Applies,
}

impl WebSettings {
    /// Where the clients of the throttle `T` are identified.
    pub(crate) fn identity_source<T: Throttle>(&self) -> Source {
        self.identity.as_ref().map_or(Source::extractor::<T::Identity>(), Identity::source)
    }

    pub(crate) fn check<T: Throttle>(&self, throttle: &'static str, told: &Told) -> Result<(), ConfigError> {
        if self.identity.is_some() && TypeId::of::<T::Identity>() != TypeId::of::<DefaultIdentity>() {
            return Err(ConfigError::TwoIdentities { uid: T::UID, throttle });
        }
        if let Some(client_ip) = self.identity.as_ref().and_then(Identity::client_ip) {
            warn_of_trust(client_ip, Some(T::UID), told);
        }
        self.applies.check().map_err(|source| ConfigError::Rule { uid: T::UID, throttle, source })
    }
}

/// With feature `axum`.
impl Settings {
    /// Names the client by a function of the request.
    ///
    /// ```
    /// use traffik::{Client, EXEMPTED, Settings};
    ///
    /// /// Put into the request by the middleware that authenticates it.
    /// #[derive(Clone)]
    /// enum User {
    ///     Staff,
    ///     Customer(u64),
    /// }
    ///
    /// let settings = Settings::new().identifier(|parts| match parts.extensions.get::<User>() {
    ///     Some(User::Staff) => EXEMPTED,
    ///     Some(User::Customer(id)) => Client::from(("customer", *id)),
    ///     None => Client::from("not logged in"),
    /// });
    /// ```
    pub fn identifier<F, C>(mut self, identifier: F) -> Self
    where
        F: Fn(&Parts) -> C + Send + Sync + 'static,
        C: IntoIdentity,
    {
        self.web.identity = Some(Identity::by(identifier));
        self
    }

    /// Names the client by an async function of the request.
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
    /// let settings = Settings::new().async_identifier(by_session);
    /// ```
    pub fn async_identifier(mut self, identifier: impl for<'a> AsyncIdentifier<'a> + 'static) -> Self {
        self.web.identity = Some(Identity::by_async(identifier));
        self
    }

    /// Names the client by its address behind these proxies, rather than as the app does: for routes that requests come to
    /// another way than to the others.
    ///
    /// ```
    /// use traffik::{ClientIp, DefaultIdentity, ForwardedHeader, Rate, Settings, Throttle};
    ///
    /// /// Called by the payment provider, past the CDN.
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
        self.web.identity = Some(Identity::by_address(client_ip));
        self
    }

    /// Answers its own way when this throttle turns a request away. Of a tuple the throttle's responder is asked that
    /// refuses longest, and if the backend gave no answer the first that there is.
    pub fn responder(mut self, responder: impl Responder) -> Self {
        self.web.responder = Some(AnyResponder::new(responder));
        self
    }

    /// Applies only to requests that match, and match all other rules as well. See [`Rule`].
    ///
    /// To other requests it is as if the throttle was not there: no client is named, no backend is asked, and no field
    /// tells of it.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.web.applies.add_rule(rule);
        self
    }

    /// Does not apply to requests that match, whatever its rules say. See [`Bypass`].
    pub fn bypass(mut self, bypass: Bypass) -> Self {
        self.web.applies.add_bypass(bypass);
        self
    }

    /// Charges CORS preflights that meet it in a [`throttle_layer`](crate::throttle_layer), as any other request.
    ///
    /// Unless told otherwise a layer lets them past uncharged: a browser sends one before a request, on its own, and if it was
    /// refused the page could not see why. (In front of a handler, as an argument or by an attribute, a throttle charges
    /// them in any case.) Where handlers behind the layer answer OPTIONS, as those of `any` and fallbacks do, charge them:
    /// a preflight is any OPTIONS request with the fields `Origin` and `Access-Control-Request-Method`.
    pub fn charge_preflights(mut self) -> Self {
        self.web.charge_preflights = true;
        self
    }
}

/// With feature `axum`.
impl TraffikBuilder {
    /// Names the clients of every throttle that has [`DefaultIdentity`](crate::DefaultIdentity), and no identifier of its own, by a function of
    /// the request. Unless told otherwise it is the peer's IP address.
    ///
    /// See [`Settings::identifier`].
    pub fn identifier<F, C>(mut self, identifier: F) -> Self
    where
        F: Fn(&Parts) -> C + Send + Sync + 'static,
        C: IntoIdentity,
    {
        self.web.identity = Some(Identity::by(identifier));
        self
    }

    /// The same by an async function. See [`Settings::async_identifier`].
    pub fn async_identifier(mut self, identifier: impl for<'a> AsyncIdentifier<'a> + 'static) -> Self {
        self.web.identity = Some(Identity::by_async(identifier));
        self
    }

    /// Knows clients by their address behind these proxies, rather than by the peer's: where nothing else names them, and
    /// where [`client_ip`](crate::client_ip) asks.
    ///
    /// ```
    /// use traffik::{ClientIp, Traffik, backend::MemoryBackend};
    ///
    /// let proxies = ClientIp::behind(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"])?;
    /// let traffik = Traffik::builder(MemoryBackend::new("myapp")).client_ip(proxies).build()?;
    /// # Ok::<(), traffik::ConfigError>(())
    /// ```
    pub fn client_ip(mut self, client_ip: ClientIp) -> Self {
        self.web.client_ip = Some(client_ip);
        self
    }

    /// Lets all requests share one limit whose peer address is not known, rather than answering them with an error that
    /// says how to make it known.
    pub fn share_anonymous_clients(mut self) -> Self {
        self.web.share_anonymous = true;
        self
    }

    /// Answers refusals another way than as [`ProblemDetails`](super::ProblemDetails).
    pub fn responder(mut self, responder: impl Responder) -> Self {
        self.web.responder = AnyResponder::new(responder);
        self
    }

    /// Adds `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (seconds since the Unix epoch), of the
    /// tightest limit, beside the standard fields.
    pub fn x_ratelimit_fields(mut self) -> Self {
        self.web.x_ratelimit = true;
        self
    }

    /// Adds a rule to the throttle with this uid, which may be another module's: it applies only to requests that match this
    /// rule and its own. See [`Rule`].
    ///
    /// ```
    /// use traffik::{Bypass, DefaultIdentity, Rate, Throttle, Traffik, backend::MemoryBackend};
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
    /// A uid that no throttle has is a [`ConfigError::UnknownUid`]. Throttles that macros
    /// declare are known; one whose `impl Throttle` is written by hand is when it is [registered](Self::register).
    pub fn rule(mut self, uid: &'static str, rule: Rule) -> Self {
        self.web.rules.add_rule(uid, rule);
        self
    }

    /// Adds a bypass to the throttle with this uid, likewise. See [`Bypass`].
    pub fn bypass(mut self, uid: &'static str, bypass: Bypass) -> Self {
        self.web.rules.add_bypass(uid, bypass);
        self
    }

    /// Charges CORS preflights in every layer. See [`Settings::charge_preflights`].
    pub fn charge_preflights(mut self) -> Self {
        self.web.charge_preflights = true;
        self
    }
}
