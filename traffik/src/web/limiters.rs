use std::{fmt, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};

use super::{
    Limiter, RequestContext, Site, ThrottleRejection, kept_rejection::KeptRejection, limiter_checks::LimiterChecks,
    memo::Memo, rejection::Misconfigured,
};
use crate::{
    engine::Checks,
    limit::{ByUid, DefaultIdentity},
};

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
        Ok(Limiter::new(found.await.map_err(|rejection| rejection.of(&self.parts))?))
    }
}

impl<S: Sync> FromRequestParts<S> for Limiters {
    type Rejection = ThrottleRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ThrottleRejection> {
        let context = RequestContext::of(parts);
        let context = context.ok_or_else(|| ThrottleRejection::from(Misconfigured::no_state()).of(parts))?;
        Ok(Self { context, parts: Arc::new(parts.clone()) })
    }
}

impl fmt::Debug for Limiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiters").finish_non_exhaustive()
    }
}
