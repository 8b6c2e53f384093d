//! Extractors of throttles that a handler checks itself: with a charge, or without one.

use std::{fmt, marker::PhantomData, ops::Deref, sync::Arc, time::Duration};

use axum::{extract::FromRequestParts, http::request::Parts};
use traffik_core::{client::Client, rate::Rate};

use super::{
    RequestContext, Site, ThrottleRejection, ThrottleSet,
    limiter_checks::{LimiterChecks, decide, peek},
    rejection::Misconfigured,
    resolve::Memo,
    site::KeptRejection,
};
use crate::{
    engine::{Checks, Limits, Permit},
    limit::{ByUid, DefaultIdentity, Throttle, Throttles},
};

/// Extractor of a throttle, or a tuple of throttles, that a handler checks itself.
///
/// Some costs and clients are known only inside of a handler: by a field of the body, by the query of a GraphQL request, by the
/// rows of a batch. The extractor resolves the rules, the cost, the client and the rate as the throttle says, and charges
/// nothing. [`check`](Self::check) charges, and its rejection is the same response as that of
/// [`Throttled`](crate::Throttled), so `?` refuses the request:
///
/// ```
/// use axum::{Json, Router, routing::post};
/// use traffik::{DefaultIdentity, Limiter, MemoryBackend, Rate, Throttle, ThrottleRejection, Traffik};
///
/// struct Rows;
///
/// impl Throttle for Rows {
///     const UID: &'static str = "limiter:rows";
///     const RATE: Rate = Rate::literal("10000/min");
///     type Identity = DefaultIdentity;
/// }
///
/// async fn insert(rows: Limiter<Rows>, Json(batch): Json<Vec<String>>) -> Result<String, ThrottleRejection> {
///     let permit = rows.cost(batch.len() as u64).check().await?;
///     Ok(format!("{} rows left", permit.tightest().remaining()))
/// }
///
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let app: Router = Router::new().route("/rows", post(insert)).layer(traffik.layer());
/// # Ok::<(), traffik::ConfigError>(())
/// ```
///
/// Each `check` charges what it says, also if the request was charged for the same throttle before. The response has the
/// RateLimit fields, a later refusal gives the charge back, and [`Settings::refund_if`](crate::Settings::refund_if) applies, if
/// the check is made before the response. `T` is a [`Throttle`], or a tuple of up to sixteen, which are one
/// decision.
///
/// A throttle that does [not apply](crate::Settings::rule) to the request is not charged, whatever the handler sets.
///
/// # A client of the body
///
/// [`client`](Self::client) replaces the client. An identity that rejects the request is no error until then: only
/// [`check`](Self::check) and [`peek`](Self::peek) return its response, unless there is another client.
///
/// ```
/// use axum::{Json, http::StatusCode};
/// use traffik::{DefaultIdentity, Limiter, Rate, Settings, Throttle, ThrottleRejection, refund_if};
///
/// /// Ten wrong passwords an hour for each account.
/// struct Account;
///
/// impl Throttle for Account {
///     const UID: &'static str = "limiter:account";
///     const RATE: Rate = Rate::literal("10/hour");
///     type Identity = DefaultIdentity;
///
///     fn settings() -> Settings {
///         Settings::new().refund_if(refund_if::success)
///     }
/// }
///
/// # type Login = std::collections::HashMap<String, String>;
/// async fn login(account: Limiter<Account>, Json(login): Json<Login>) -> Result<StatusCode, ThrottleRejection> {
///     let _ = account.client(login["name"].clone()).check().await?;
///     Ok(if login["password"] == "secret" { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED })
/// }
/// ```
///
/// # Without a router
///
/// A service of tower extracts it from the parts of its request, which pass [`Traffik::layer`](crate::Traffik::layer) before, or
/// carry the [`Traffik`](crate::Traffik) as an extension:
///
/// ```
/// use axum::{extract::FromRequestParts, http::request::Parts};
/// use traffik::{Limiter, Permit, Throttle, ThrottleRejection, web::ThrottleSet};
///
/// async fn admit<T: ThrottleSet<()>>(parts: &mut Parts) -> Result<Permit<T>, ThrottleRejection> {
///     Limiter::<T>::from_request_parts(parts, &()).await?.check().await
/// }
/// ```
#[must_use = "a limiter does nothing until `check` or `peek` is called and awaited"]
pub struct Limiter<T> {
    pub(super) checks: LimiterChecks,
    throttles: PhantomData<fn() -> T>,
}

impl<T: Throttles> Limiter<T> {
    /// Sets the client, in place of that of the throttle. For a tuple it applies to every throttle. The function for the
    /// [rate](crate::Settings::rate_of) is called for it.
    pub fn client(mut self, client: impl Into<Client>) -> Self {
        self.checks.client = Some(self.checks.context.traffik().counted_as(client.into()));
        self
    }

    /// Sets the cost. For a tuple it applies to every throttle. A cost of 0 skips the backend.
    pub fn cost(mut self, cost: u64) -> Self {
        self.checks.options.cost = Some(cost);
        self
    }

    /// Sets the lowest cost: a check charges what fits between it and [`at_most`](Self::at_most), and refuses if less fits. See
    /// [`ClientLimiter::at_least`](crate::ClientLimiter::at_least).
    ///
    /// # Errors
    ///
    /// A lowest cost above the highest is an error of [`check`](Self::check) and [`peek`](Self::peek).
    pub fn at_least(mut self, cost: u64) -> Self {
        self.checks.options.at_least = Some(cost);
        self
    }

    /// Sets the highest cost, for [`at_least`](Self::at_least). Without a lowest cost, it is the same as [`cost`](Self::cost).
    pub fn at_most(self, cost: u64) -> Self {
        self.cost(cost)
    }

    /// Lets [`check`](Self::check) wait for its turn: until the limits admit the client, for `max` at most. See
    /// [`ClientLimiter::wait`](crate::ClientLimiter::wait).
    pub fn wait(mut self, max: Duration) -> Self {
        self.checks.options.wait = Some(max);
        self
    }

    /// Charges the client, and returns a permit. A tuple is one decision: all throttles are charged, or none.
    ///
    /// A request that its limit [delays](struct@crate::LeakyBucketWithQueue) waits for its turn here, unless [`wait`](Self::wait)
    /// is set: see [`Limits::delay`].
    ///
    /// # Errors
    ///
    /// Returns the rejection of a client that is over a limit, and of a request that could not be decided. It is the same
    /// response as that of [`Throttled`](crate::Throttled), to be returned from the handler.
    pub async fn check(self) -> Result<Permit<T>, ThrottleRejection> {
        decide(&[self.checks]).await.map(Permit::new)
    }

    /// Returns the limits of the client, and charges nothing.
    ///
    /// # Errors
    ///
    /// Returns the rejection of a request whose client is not known, or about which the backend gives no answer.
    pub async fn peek(self) -> Result<Limits, ThrottleRejection> {
        peek(&[self.checks]).await
    }
}

/// A limiter of one throttle. The throttles of a tuple keep their own rates.
impl<T: Throttle> Limiter<T> {
    /// Sets the rate, in place of that of the throttle and of its function for the rate.
    pub fn rate(mut self, rate: Rate) -> Self {
        self.checks.options.rate = Some(rate);
        self
    }
}

impl Limiter<ByUid> {
    /// Sets the rate, in place of that of the limit and of its function for the rate.
    pub fn rate(mut self, rate: Rate) -> Self {
        self.checks.options.rate = Some(rate);
        self
    }
}

impl<T, S> FromRequestParts<S> for Limiter<T>
where
    T: ThrottleSet<S>,
    S: Send + Sync,
{
    type Rejection = ThrottleRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ThrottleRejection> {
        let context = RequestContext::of(parts);
        let context = context.ok_or_else(|| ThrottleRejection::from(Misconfigured::no_state()).for_request(parts))?;
        let unidentified = KeptRejection::default();
        let site = Site::Limiter(unidentified.clone());
        let checks = T::checks(&context, &site, parts, state).await;
        let checks = checks.map_err(|rejection| rejection.for_request(parts))?;
        Ok(Self::new(LimiterChecks::new(&context, &checks, unidentified, parts)))
    }
}

impl<T> Limiter<T> {
    pub(super) fn new(checks: LimiterChecks) -> Self {
        Self { checks, throttles: PhantomData }
    }
}

/// A clone checks the same.
impl<T> Clone for Limiter<T> {
    fn clone(&self) -> Self {
        Self { checks: self.checks.clone(), throttles: PhantomData }
    }
}

impl<T> fmt::Debug for Limiter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LimiterChecks { client, options, .. } = &self.checks;
        f.debug_struct("Limiter").field("client", client).field("options", options).finish_non_exhaustive()
    }
}

/// Extractor that finds limits that were [added](crate::Traffik::add_limit), for a handler that learns their uids from the request.
///
/// [`of`](Self::of) returns a [`Limiter`], which is that of a throttle in everything else:
///
/// ```
/// use axum::{Json, Router, routing::post};
/// use traffik::{MemoryBackend, Settings, ThrottleRejection, Traffik, web::Limiters};
///
/// # type Order = std::collections::HashMap<String, String>;
/// async fn order(limits: Limiters, Json(order): Json<Order>) -> Result<String, ThrottleRejection> {
///     let tenant = limits.of(&format!("tenant:{}", order["tenant"])).await?;
///     let permit = tenant.client(order["user"].clone()).cost(2).check().await?;
///     Ok(format!("{} left", permit.tightest().remaining()))
/// }
///
/// let traffik = Traffik::builder(MemoryBackend::new("myapp"))
///     .add_limit("tenant:acme", "100/min".parse()?, Settings::new())
///     .build()?;
/// let app: Router = Router::new().route("/orders", post(order)).layer(traffik.layer());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It copies the head of the request. A request without `traffik.layer()` is rejected with a 500, as by
/// [`Throttled`](crate::Throttled).
#[derive(Clone)]
pub struct Limiters {
    context: RequestContext,
    parts: Arc<Parts>,
}

impl Limiters {
    /// Returns a limiter of the limit with this uid. It resolves the rules, the cost and the client, and charges nothing.
    ///
    /// # Errors
    ///
    /// Returns a rejection with a 500 that names the uid if the app has no such limit, and that of a function of the limit that
    /// rejects the request.
    pub async fn of(&self, uid: &str) -> Result<Limiter<ByUid>, ThrottleRejection> {
        let context = self.context.clone().with_latest_changes();
        let mut parts = Parts::clone(&self.parts);
        let found = async {
            let definition = context.value(uid)?;
            let unidentified = KeptRejection::default();
            let site = Site::Limiter(unidentified.clone());
            let check = context.check::<DefaultIdentity, ()>(&definition, &site, Memo(None), &mut parts, &()).await?;
            let checks = Checks::new(check);
            Ok::<_, ThrottleRejection>(LimiterChecks::new(&context, &checks, unidentified, &self.parts))
        };
        Ok(Limiter::new(found.await.map_err(|rejection| rejection.for_request(&self.parts))?))
    }
}

impl<S: Sync> FromRequestParts<S> for Limiters {
    type Rejection = ThrottleRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ThrottleRejection> {
        let context = RequestContext::of(parts);
        let context = context.ok_or_else(|| ThrottleRejection::from(Misconfigured::no_state()).for_request(parts))?;
        Ok(Self { context, parts: Arc::new(parts.clone()) })
    }
}

impl fmt::Debug for Limiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiters").finish_non_exhaustive()
    }
}

/// Extractor of the limits that the next request of the client would meet. It charges nothing, and refuses no request.
///
/// The throttle resolves its rules, the cost, the client and the rate as for a charge. The result is what remains after
/// whatever this request was charged. `T` is a [`Throttle`], or a tuple of up to sixteen.
///
/// It dereferences to the [`Limits`]. A page of what a user has left:
///
/// ```
/// use axum::{Router, routing::get};
/// use traffik::{DefaultIdentity, MemoryBackend, Peek, Rate, Throttle, Throttled, Traffik};
///
/// struct Search;
///
/// impl Throttle for Search {
///     const UID: &'static str = "peek:search";
///     const RATE: Rate = Rate::literal("100/min");
///     type Identity = DefaultIdentity;
/// }
///
/// async fn search(_: Throttled<Search>) -> &'static str {
///     "results"
/// }
///
/// async fn usage(search: Peek<Search>) -> String {
///     let search = search.tightest();
///     format!("{} of {} searches left", search.remaining(), search.capacity())
/// }
///
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let app: Router =
///     Router::new().route("/search", get(search)).route("/usage", get(usage)).layer(traffik.layer());
/// # Ok::<(), traffik::ConfigError>(())
/// ```
///
/// # Errors
///
/// The request is rejected if the identity or a function of the throttle rejects it. While the backend does not answer, a
/// [fallback](crate::on_error) shows its own share of the limits. Without one, the request is rejected with a 503.
#[derive(Clone)]
pub struct Peek<T> {
    limits: Limits,
    throttles: PhantomData<fn() -> T>,
}

impl<T> Peek<T> {
    /// Returns the limits.
    #[must_use]
    pub fn into_limits(self) -> Limits {
        self.limits
    }
}

impl<T> Deref for Peek<T> {
    type Target = Limits;

    fn deref(&self) -> &Limits {
        &self.limits
    }
}

impl<T, S> FromRequestParts<S> for Peek<T>
where
    T: ThrottleSet<S>,
    S: Send + Sync,
{
    type Rejection = ThrottleRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ThrottleRejection> {
        let limits = Limiter::<T>::from_request_parts(parts, state).await?.peek().await?;
        Ok(Self { limits, throttles: PhantomData })
    }
}

impl<T> fmt::Debug for Peek<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peek").field(&self.limits).finish()
    }
}
