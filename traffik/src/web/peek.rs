use std::{fmt, marker::PhantomData, ops::Deref};

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{Limiter, ThrottleRejection, ThrottleSet};
use crate::engine::Limits;

/// Extractor of the limits that the next request of the client would meet. It charges nothing, and refuses no request.
///
/// The throttle resolves its rules, the cost, the client and the rate as for a charge. The result is what remains after
/// whatever this request was charged. `T` is a [`Throttle`](crate::Throttle), or a tuple of up to sixteen.
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
