//! The extractor, and the path of every request that meets a throttle.

use std::{fmt, marker::PhantomData, ops::Deref};

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};
use traffik_core::backend::MaybeReady;

use super::{RequestContext, Site, ThrottleRejection, ThrottleSet, rejection::Misconfigured, turn::QueueSlots};
use crate::engine::{CheckResult, Checks, Limits, Permit, decide, put_in_force, resolve};

/// Extractor that admits a request only if its client is within a limit, or within all limits of a tuple.
///
/// Over the limit the handler does not run, and the client receives a 429 that says when to try again. `T` is a
/// [`Throttle`](crate::Throttle), or a tuple of up to sixteen, which are one decision: all are charged, or none is.
///
/// Put it before other arguments. Arguments run in order, so those before it have already run when a request is
/// refused.
///
/// # Example
///
/// ```
/// use axum::{Router, routing::{get, post}};
/// use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, Throttled, Traffik};
///
/// struct Burst;
///
/// impl Throttle for Burst {
///     const UID: &'static str = "uploads:burst";
///     const RATE: Rate = Rate::literal("10/min");
///     type Identity = DefaultIdentity;
/// }
///
/// struct Sustained;
///
/// impl Throttle for Sustained {
///     const UID: &'static str = "uploads:sustained";
///     const RATE: Rate = Rate::literal("100/hour");
///     type Identity = DefaultIdentity;
/// }
///
/// async fn list(_: Throttled<Burst>) -> &'static str {
///     "nothing yet"
/// }
///
/// async fn upload(permit: Throttled<(Burst, Sustained)>) -> String {
///     format!("{} left", permit.tightest().remaining())
/// }
///
/// let traffik = Traffik::new(MemoryBackend::new("myapp"))?;
/// let app: Router = Router::new()
///     .route("/uploads", get(list).post(upload))
///     .layer(traffik.layer());
/// # Ok::<(), traffik::ConfigError>(())
/// ```
///
/// For a limit on [concurrent requests](crate::strategy::Concurrency) it is the permit, which is held until the last
/// clone is dropped. The handler of a socket moves it into the task of the socket.
///
/// It dereferences to its [`Permit`], which dereferences to the [`Limits`] and can [settle](Permit::settle) the charge. As an
/// `Option` it is `None` if the throttle does not count the request.
///
/// It finds the [`Traffik`](crate::Traffik) handle in the request: add [`Traffik::layer`](crate::Traffik::layer) after the
/// routes. With only `axum::Extension(traffik)`, responses of handlers have no RateLimit fields, and nothing is refunded when a
/// later limit refuses.
pub struct Throttled<T> {
    permit: Permit<T>,
}

impl<T> Deref for Throttled<T> {
    type Target = Permit<T>;

    fn deref(&self) -> &Permit<T> {
        &self.permit
    }
}

impl<T, S> FromRequestParts<S> for Throttled<T>
where
    T: ThrottleSet<S>,
    S: Send + Sync,
{
    type Rejection = ThrottleRejection;

    #[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
    fn from_request_parts(
        parts: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<Self, ThrottleRejection>> + Send {
        async move {
            let limits = check_request(Types::<T>::new(), parts, state, &Site::Handler).await?;
            Ok(Self { permit: Permit::new(limits) })
        }
    }
}

/// Returns `None` if none of the throttles counts the request: their rules exclude it, the client is exempt, the rate
/// is unlimited, the cost is 0, or limits are disabled. Refusals and errors reject the request, as without the
/// `Option`.
impl<T, S> OptionalFromRequestParts<S> for Throttled<T>
where
    T: ThrottleSet<S>,
    S: Send + Sync,
{
    type Rejection = ThrottleRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, ThrottleRejection> {
        let permit = <Self as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        let counts = permit.iter().any(|limit| limit.is_counted() || limit.is_unchecked());
        Ok(counts.then_some(permit))
    }
}

/// Checks a request: resolves its throttles, decides, and waits for its turn if a throttle has a queue.
#[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
pub(super) fn check_request<L, S>(
    sought: L,
    parts: &mut Parts,
    state: &S,
    site: &Site,
) -> impl Future<Output = Result<Limits, ThrottleRejection>> + Send
where
    L: Sought<S>,
    S: Send + Sync,
{
    async move {
        let begun = match site.check() {
            Ok(()) => RequestContext::of(parts).ok_or_else(|| ThrottleRejection::from(Misconfigured::no_state())),
            Err(error) => Err(Misconfigured::from(error).into()),
        };
        let context = begun.map_err(|rejection| rejection.of(parts))?;
        let found = sought.find(&context, parts).map_err(|rejection| rejection.of(parts))?;
        let checks = L::checks(&found, &context, site, parts, state).await;
        let begun = checks.and_then(|checks| begin(checks, &context, site));
        let (slots, decided) = begun.map_err(|rejection| rejection.of(parts))?;
        let limits = context.record(resolve!(decided), site, parts).map_err(|rejection| rejection.of(parts))?;
        if let Some(slots) = slots {
            slots.turn(&limits, context.traffik().clock()).await;
        }
        Ok(limits)
    }
}

/// The limits that a request is checked against.
pub(super) trait Sought<S>: Send {
    /// What was found of them, for as long as the request is checked.
    type Found: Send + Sync;

    fn find(self, context: &RequestContext, parts: &Parts) -> Result<Self::Found, ThrottleRejection>;

    /// Resolves each limit.
    fn checks<'a>(
        found: &'a Self::Found,
        context: &'a RequestContext,
        site: &Site,
        parts: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<Checks<'a>, ThrottleRejection>> + Send;
}

/// A throttle, or a tuple of them.
pub(super) struct Types<T>(PhantomData<fn() -> T>);

impl<T> Types<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: ThrottleSet<S>, S: Send + Sync> Sought<S> for Types<T> {
    type Found = ();

    #[inline]
    fn find(self, _: &RequestContext, _: &Parts) -> Result<(), ThrottleRejection> {
        Ok(())
    }

    #[inline]
    fn checks<'a>(
        (): &'a (),
        context: &'a RequestContext,
        site: &Site,
        parts: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<Checks<'a>, ThrottleRejection>> + Send {
        T::checks(context, site, parts, state)
    }
}

/// Puts the changes in force, reserves slots and starts the decision.
///
/// This is separate from the future above, which would keep the checks until the decision is made.
pub(super) fn begin<'a>(
    mut checks: Checks<'a>,
    context: &RequestContext,
    site: &Site,
) -> Result<(Option<QueueSlots>, MaybeReady<'a, CheckResult>), ThrottleRejection> {
    context.check_refunds(&checks, site)?;
    let changes = context.traffik().changes();
    if let Some(refusal) = context.live().and_then(|live| put_in_force(live, changes, &mut checks)) {
        return Ok((None, MaybeReady::Ready(Ok(refusal))));
    }
    let slots = QueueSlots::reserve(&mut checks, context.traffik().clock());
    Ok((slots, decide(checks)))
}

impl<T> fmt::Debug for Throttled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Throttled").field(self.limits()).finish()
    }
}

impl<T> Clone for Throttled<T> {
    fn clone(&self) -> Self {
        Self { permit: self.permit.clone() }
    }
}
