//! Extractors of what a request carries: its limits, the handle of the app, and the client by the default identity.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{Extensions, request::Parts},
};

use super::{
    RequestContext, ThrottleRejection,
    rejection::{Limited, Misconfigured},
    resolve::default_client,
};
use crate::{
    engine::{Limits, Refusal, Traffik, resolve},
    limit::DefaultIdentity,
};

impl Limits {
    /// Returns the limits that a request met so far: in layers around it, and in earlier arguments of its handler. Returns
    /// `None` if none of them counted the request. A handler extracts them as an argument `Option<Limits>`.
    ///
    /// For middleware between a throttle and its handler:
    ///
    /// ```
    /// use axum::{extract::Request, middleware::Next, response::Response};
    /// use traffik::Limits;
    ///
    /// async fn trace(request: Request, next: Next) -> Response {
    ///     if let Some(limits) = Limits::met_by(request.extensions()) {
    ///         println!("{} left", limits.tightest().remaining());
    ///     }
    ///     next.run(request).await
    /// }
    /// # let _ = axum::Router::<()>::new().layer(axum::middleware::from_fn(trace));
    /// ```
    ///
    /// Each limit is there once, as it stands at the time of the call: a copy that holds no permit, and does not change with
    /// later charges and settlements. Limits that were [not checked](crate::Limit::is_unchecked), because no backend answered,
    /// are included. They may come from several decisions, so some may be charged although another one refuses, which a
    /// [marking layer](crate::ThrottleLayer::mark) lets pass.
    ///
    /// To read them outside of `traffik.layer()`, see [`TraffikLayer::expose`](crate::TraffikLayer::expose).
    #[must_use]
    pub fn met_by(request: &Extensions) -> Option<Self> {
        request.get::<RequestContext>()?.ledger().snapshot()
    }

    /// Returns the limits if all of them admit, or the rejection of a request that they refuse: the same 429 as that of a
    /// throttle.
    ///
    /// A handler that decides by a peek, which charges nothing:
    ///
    /// ```
    /// use axum::{Router, extract::Path, routing::get};
    /// use traffik::{DefaultIdentity, MemoryBackend, Rate, Throttle, ThrottleRejection, Traffik};
    ///
    /// struct Exports;
    ///
    /// impl Throttle for Exports {
    ///     const UID: &'static str = "exports:rows";
    ///     const RATE: Rate = Rate::literal("10000/hour");
    ///     type Identity = DefaultIdentity;
    /// }
    ///
    /// async fn preview(traffik: Traffik, Path(account): Path<u64>) -> Result<&'static str, ThrottleRejection> {
    ///     if let Ok(limits) = traffik.limiter::<Exports>(("account", account)).peek().await {
    ///         limits.or_refuse()?;
    ///     }
    ///     Ok("a preview")
    /// }
    /// # let _: Router = Router::new().route("/preview/{account}", get(preview));
    /// ```
    ///
    /// The response is made by the responder of the throttle or of the app. Without one it is problem details, or what the
    /// request accepts: see [`for_request`](ThrottleRejection::for_request). Within `traffik.layer()` its fields show all limits
    /// of the request, and all charges of the request are refunded. For an error of
    /// [`ClientLimiter::check`](crate::ClientLimiter::check), convert its [`Refusal`]: `Err(refusal.into())`.
    ///
    /// # Errors
    ///
    /// Returns [`ThrottleRejection::Limited`] if one of the limits refuses.
    pub fn or_refuse(self) -> Result<Self, ThrottleRejection> {
        if self.is_admitted() { Ok(self) } else { Err(Limited::from(Refusal::new(self)).into()) }
    }
}

/// Extracts the limits that the request met before: see [`Limits::met_by`].
impl<S: Sync> OptionalFromRequestParts<S> for Limits {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Infallible> {
        Ok(Self::met_by(&parts.extensions))
    }
}

/// Extracts the handle of the innermost [`Traffik::layer`], or of an `axum::Extension` where there is no such layer.
impl<S: Sync> FromRequestParts<S> for Traffik {
    type Rejection = Misconfigured;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Misconfigured> {
        RequestContext::handle(&parts.extensions).cloned().ok_or_else(Misconfigured::no_state)
    }
}

impl<S: Sync> FromRequestParts<S> for DefaultIdentity {
    type Rejection = ThrottleRejection;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ThrottleRejection> {
        let Some(traffik) = RequestContext::handle(&parts.extensions) else {
            return Err(Misconfigured::no_state().into());
        };
        resolve!(default_client(traffik, parts)).map(Self)
    }
}
