use axum::{extract::FromRequestParts, http::request::Parts};
use traffik_core::client::Client;

use super::{RequestContext, Site, ThrottleRejection, memo::Memo, rejection::Misconfigured};
use crate::{
    engine::{Check, Checks},
    limit::{Throttle, Throttles, all_the_tuples},
};

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
