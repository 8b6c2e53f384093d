use axum::{extract::FromRequestParts, http::request::Parts};
use traffik_core::client::Client;

use super::{RequestContext, Site, ThrottleRejection, memo::Memo};
use crate::{
    engine::{Check, Checks},
    limit::{Throttle, Throttles, all_the_tuples},
};

/// Throttles whose clients can be identified in an app with the state `S`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the client of `{Self}` cannot be named with the state `{S}`",
    note = "the `Identity` of a throttle is an extractor that turns into a `traffik::Client`"
)]
pub trait ThrottleSet<S>: Throttles {
    /// Resolves each throttle.
    fn checks<'a>(
        context: &'a RequestContext,
        site: &Site,
        parts: &mut Parts,
        state: &S,
    ) -> impl Future<Output = Result<Checks<'a>, ThrottleRejection>> + Send;
}

impl<T, S> ThrottleSet<S> for T
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
        async move { context.check::<T, S>(site, Memo(None), parts, state).await.map(Checks::new) }
    }
}

macro_rules! tuple_of_throttles {
    ($first:ident $(, $throttle:ident)*) => {
        impl<$first, $($throttle,)* S> ThrottleSet<S> for ($first, $($throttle,)*)
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
                    #[allow(unused_mut)]
                    let mut checks = Checks::new(context.check::<$first, S>(site, Memo(None), parts, state).await?);
                    $(
                        let check = context.check::<$throttle, S>(site, Memo(Some(&checks)), parts, state).await?;
                        checks.add(check, Check::is_same);
                    )*
                    Ok(checks)
                }
            }
        }
    };
}

all_the_tuples!(tuple_of_throttles);
