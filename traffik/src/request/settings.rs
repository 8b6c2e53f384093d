//! The settings of a throttle and of an app that depend on requests.

use std::{any::Any, fmt, sync::Arc, time::Duration};

use axum::http::request::Parts;
use tokio::sync::Semaphore;

use super::{
    client_ip::{ClientAddress, ClientIp, HeaderWatch, NetworkError, Networks, warn_of_trust},
    function::{BackendOf, CostOf, RateOf, Source},
    identity::Identity,
    refund_if::RefundIf,
    rules::{Applies, ByUid},
};
#[cfg(feature = "ws")]
use crate::observe::MessageInstruments;
use crate::{observe::LogThrottle, warning::WarningLog};

/// The settings of a throttle that depend on the request, and its responder.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestSettings {
    pub(crate) cost: Option<CostOf>,
    pub(crate) identity: Option<Identity>,
    pub(crate) rate: Option<RateOf>,
    pub(crate) backend: Option<BackendOf>,
    pub(crate) responder: Option<ErasedResponder>,
    pub(crate) charge_preflights: bool,
    pub(crate) applies: Applies,
    pub(crate) refund_if: RefundIf,
    pub(crate) denied: Denied,
    /// The fields that show the limit. `None` for the app's setting.
    pub(crate) fields: Option<Fields>,
    /// Whether no response shows the limit.
    pub(crate) is_hidden: bool,
    pub(crate) refuses_with_503: bool,
    /// Whether the throttle counts requests and rejects none.
    pub(crate) is_dry_run: bool,
    /// How the app responds. Its fields are those of the throttle, if it has its own.
    pub(crate) responses: Responses,
}

/// How an app responds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Responses {
    pub(crate) responder: Option<ErasedResponder>,
    pub(crate) fields: Fields,
}

/// A responder, whose type only the module `web` knows.
#[derive(Clone)]
pub(crate) struct ErasedResponder(pub(crate) Arc<dyn Any + Send + Sync>);

impl RequestSettings {
    /// Returns the source of the client: these settings, or the extractor `I`.
    pub(crate) fn identity_source<I: 'static>(&self) -> Source {
        self.identity.as_ref().map_or(Source::extractor::<I>(), Identity::source)
    }

    /// Returns `true` if the rules, the cost or the rate are functions of the request.
    #[cfg(feature = "ws")]
    pub(crate) fn has_functions(&self) -> bool {
        !self.applies.is_empty() || self.cost.is_some() || self.rate.is_some()
    }

    /// Warns about an identity that trusts every address.
    pub(crate) fn warn(&self, uid: &str, warnings: &WarningLog) {
        if let Some(client_ip) = self.identity.as_ref().and_then(Identity::client_ip) {
            warn_of_trust(client_ip, Some(uid), warnings);
        }
    }
}

impl fmt::Debug for ErasedResponder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Responder(..)")
    }
}

/// The settings of an app for requests, which a throttle can override.
#[derive(Debug, Default)]
pub(crate) struct RequestDefaults {
    pub(crate) identity: Option<Identity>,
    pub(crate) client_ip: Option<ClientIp>,
    pub(crate) share_anonymous: bool,
    pub(crate) drain: Drain,
    pub(crate) outages: LogThrottle,
    pub(crate) strangers: LogThrottle,
    /// Bounds the log lines about rates that a strategy does not support.
    pub(crate) unworkable: LogThrottle,
    pub(crate) watch: HeaderWatch,
    pub(crate) charge_preflights: bool,
    pub(crate) throttles: ThrottleDefaults,
    #[cfg(feature = "ws")]
    pub(crate) messages: MessageInstruments,
}

/// What an app adds to each of its throttles.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThrottleDefaults {
    pub(crate) rules: ByUid,
    pub(crate) denied: Denied,
    pub(crate) responses: Responses,
    pub(crate) is_dry_run: bool,
}

impl ThrottleDefaults {
    /// Adds all of it to the settings of the throttle with this uid.
    pub(crate) fn add_to(&self, uid: &str, settings: &mut RequestSettings) {
        self.rules.add_to(uid, &mut settings.applies);
        settings.denied.add_all(&self.denied);
        settings.is_dry_run |= self.is_dry_run;
        settings.responses = self.responses.clone();
        if let Some(own) = settings.fields {
            settings.responses.fields = own;
        }
        if settings.is_hidden {
            settings.responses.fields = Fields::never();
        }
    }
}

/// The networks that a throttle denies, or an error in their list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Denied {
    networks: Networks,
    error: Option<NetworkError>,
}

impl Denied {
    pub(crate) fn add(&mut self, networks: impl IntoIterator<Item: fmt::Display>) {
        match Networks::parse(networks) {
            Ok(networks) => self.networks.add(&networks),
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
    }

    fn add_all(&mut self, others: &Self) {
        self.networks.add(&others.networks);
    }

    /// # Errors
    ///
    /// Returns an error for a text that is neither an address nor a network.
    pub(crate) fn check(&self) -> Result<(), NetworkError> {
        self.error.clone().map_or(Ok(()), Err)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Returns `true` if the client is in one of the networks. An unknown address is in none.
    #[cold]
    pub(crate) fn has_client(&self, parts: &Parts, by: &ClientAddress<'_>) -> bool {
        by.of(parts).is_some_and(|address| self.networks.may_contain(address, by))
    }
}

/// The fields that show a client its limits: which of them, and in which responses. Defaults to [`standard`](Self::standard).
///
/// [`TraffikBuilder::fields`](crate::TraffikBuilder::fields) sets them for an app, and
/// [`Settings::fields`](crate::Settings::fields) for a throttle:
///
/// ```
/// use traffik::{DefaultIdentity, Fields, MemoryBackend, Rate, Settings, Throttle, Traffik};
///
/// struct Search;
///
/// impl Throttle for Search {
///     const UID: &'static str = "fields:search";
///     const RATE: Rate = Rate::literal("100/min");
///     type Identity = DefaultIdentity;
///
///     fn settings() -> Settings {
///         // Shown only when a request is refused.
///         Settings::new().fields(Fields::standard().on_refusal())
///     }
/// }
///
/// let traffik = Traffik::builder(MemoryBackend::new("myapp")).fields(Fields::both()).build()?;
/// # Ok::<(), traffik::ConfigError>(())
/// ```
///
/// `Retry-After` is not one of these fields: every refusal that has a wait has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Fields {
    standard: bool,
    x_ratelimit: bool,
    on_refusal: bool,
}

impl Fields {
    /// Returns the standard fields, `RateLimit-Policy` and `RateLimit`, which name every limit of the request.
    pub const fn standard() -> Self {
        Self { standard: true, x_ratelimit: false, on_refusal: false }
    }

    /// Returns `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (seconds since the Unix epoch), for the
    /// tightest limit of the request.
    pub const fn x_ratelimit() -> Self {
        Self { standard: false, x_ratelimit: true, on_refusal: false }
    }

    /// Returns the standard fields and the `X-RateLimit` fields.
    pub const fn both() -> Self {
        Self { standard: true, x_ratelimit: true, on_refusal: false }
    }

    /// Returns no field.
    pub const fn never() -> Self {
        Self { standard: false, x_ratelimit: false, on_refusal: false }
    }

    /// Restricts the fields to responses that refuse a request. They then name all limits that the request met.
    pub const fn on_refusal(self) -> Self {
        Self { on_refusal: true, ..self }
    }

    pub(crate) const fn has_standard(self, is_refusal: bool) -> bool {
        self.standard && (is_refusal || !self.on_refusal)
    }

    pub(crate) const fn has_x_ratelimit(self, is_refusal: bool) -> bool {
        self.x_ratelimit && (is_refusal || !self.on_refusal)
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self::standard()
    }
}

/// The bounds for reading the bodies of refused requests: bytes, time, and number of concurrent bodies.
#[derive(Debug)]
pub(crate) struct Drain {
    pub(crate) bytes: u64,
    pub(crate) time: Duration,
    pub(crate) bodies: Arc<Semaphore>,
}

impl Default for Drain {
    fn default() -> Self {
        Self { bytes: Self::BYTES, time: Self::TIME, bodies: Arc::new(Semaphore::new(Self::BODIES)) }
    }
}

impl Drain {
    pub(crate) const BYTES: u64 = 16 * 1024 * 1024;
    pub(crate) const TIME: Duration = Duration::from_secs(10);
    pub(crate) const BODIES: usize = 256;

    pub(crate) fn is_off(&self) -> bool {
        self.bytes == 0 || self.time.is_zero()
    }
}
