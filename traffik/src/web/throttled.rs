//! The extractor of a throttle, or a tuple of throttles.

use std::{fmt, marker::PhantomData, ops::Deref};

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};
use traffik_core::client::Client;

use super::{
    RequestContext, Site, ThrottleRejection,
    check::{Sought, check_request},
    rejection::Misconfigured,
    resolve::Memo,
};
use crate::{
    engine::{Check, Checks, Permit},
    limit::{Throttle, Throttles, all_the_tuples},
};

/// Extractor that admits a request only if its client is within a limit, or within all limits of a tuple.
///
/// Over the limit the handler does not run, and the client receives a 429 that says when to try again. `T` is a
/// [`Throttle`], or a tuple of up to sixteen, which are one decision: all are charged, or none is.
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
/// It dereferences to its [`Permit`], which dereferences to the [`Limits`](crate::Limits) and can [settle](Permit::settle) the charge. As an
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
            let limits = check_request(Types::<T>(PhantomData), parts, state, &Site::Handler).await?;
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

/// A throttle, or a tuple of them.
pub(super) struct Types<T>(pub(super) PhantomData<fn() -> T>);

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

/// A [`Throttle`], or a tuple of up to sixteen, whose clients can be identified in an app with the state `S`.
///
/// It is the bound of a function that is generic over its throttle:
///
/// ```
/// use axum::Router;
/// use traffik::{throttle_layer, web::ThrottleSet};
///
/// fn limited<T: ThrottleSet<()>>(router: Router) -> Router {
///     router.layer(throttle_layer::<T>())
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a throttle whose client can be identified with the state `{S}`",
    label = "neither such a throttle nor a tuple of them",
    note = "a throttle is declared with `#[derive(traffik::Throttle)] #[limit(\"feature:purpose\", \"100/min\")]`; its \
            `Identity` is an extractor that turns into a `traffik::Client`",
    note = "a function that is generic over its throttle has the bound `T: traffik::web::ThrottleSet<{S}>`"
)]
#[expect(private_bounds, reason = "it is sealed")]
pub trait ThrottleSet<S>: Resolve<S> {}

#[diagnostic::do_not_recommend]
impl<T: Resolve<S>, S> ThrottleSet<S> for T {}

/// Resolves the throttles of a set for a request.
pub(super) trait Resolve<S>: Throttles {
    /// Resolves each throttle.
    fn checks<'a>(
        context: &'a RequestContext,
        site: &Site,
        parts: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<Checks<'a>, ThrottleRejection>> + Send;
}

impl<T, S> Resolve<S> for T
where
    T: Throttle<Identity: FromRequestParts<S> + Into<Client>>,
    S: Send + Sync,
{
    #[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
    fn checks<'a>(
        context: &'a RequestContext,
        site: &Site,
        parts: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<Checks<'a>, ThrottleRejection>> + Send {
        async move {
            let definition = context.traffik().definition::<T>().map_err(Misconfigured::from)?;
            context.check::<T::Identity, S>(definition, site, Memo(None), parts, state).await.map(Checks::new)
        }
    }
}

macro_rules! tuple_of_throttles {
    ($first:ident $(, $throttle:ident)*) => {
        impl<$first, $($throttle,)* S> Resolve<S> for ($first, $($throttle,)*)
        where
            $first: Throttle<Identity: FromRequestParts<S> + Into<Client>>,
            $($throttle: Throttle<Identity: FromRequestParts<S> + Into<Client>>,)*
            S: Send + Sync,
        {
            fn checks<'a>(
                context: &'a RequestContext,
                        site: &Site,
                parts: &mut Parts,
                state: &S,
            ) -> impl Future<Output = Result<Checks<'a>, ThrottleRejection>> + Send {
                async move {
                    let definition = context.traffik().definition::<$first>().map_err(Misconfigured::from)?;
                    let first = context.check::<$first::Identity, S>(definition, site, Memo(None), parts, state);
                    #[allow(unused_mut)]
                    let mut checks = Checks::new(first.await?);
                    $(
                        let definition = context.traffik().definition::<$throttle>().map_err(Misconfigured::from)?;
                        let memo = Memo(Some(&checks));
                        let check = context.check::<$throttle::Identity, S>(definition, site, memo, parts, state);
                        let check = check.await?;
                        checks.add(check, Check::is_same);
                    )*
                    Ok(checks)
                }
            }
        }
    };
}

all_the_tuples!(tuple_of_throttles);
