//! Integration with axum: how a request meets a throttle, and what the client receives.
//!
//! A [`TraffikLayer`] puts the handle into the request. [`Throttled`], or a [`ThrottleLayer`] for a whole router,
//! identifies the client, by default by its [address](client_ip()), and decides. The request carries a record of the
//! limits that it met. The response shows them in its fields; a [`Responder`] makes the response to a rejected request.

mod check;
mod context;
mod extract;
pub mod identity;
mod limit_layer;
mod limiter;
mod limiter_checks;
#[cfg(any(feature = "aide", feature = "utoipa"))]
mod openapi;
mod rejection;
mod request_head;
mod request_quota;
mod resolve;
mod response;
mod settle_body;
mod site;
mod throttle_layer;
mod throttled;
mod traffik_layer;
mod uploads;
#[cfg(feature = "ws")]
pub mod ws;

#[cfg(feature = "file")]
pub use self::limit_layer::FileLimitsLayer;
#[cfg(feature = "admin")]
pub(crate) use self::response::plain_problem;
use self::{context::RequestContext, site::Site};
pub use self::{
    limit_layer::{LimitLayer, LimitService, limit_layer, limit_layer_of},
    limiter::{Limiter, Limiters, Peek},
    rejection::{Declined, Denied, Limited, Misconfigured, Raised, ThrottleRejection, Unavailable, Unidentified},
    request_head::ResponseFormat,
    request_quota::RequestQuota,
    resolve::client_ip,
    response::{DefaultResponder, EXPOSED_HEADERS, ProblemDetails, Responder, X_RATELIMIT_HEADERS, set_fields},
    throttle_layer::{ThrottleLayer, ThrottleService, throttle_layer},
    throttled::{ThrottleSet, Throttled},
    traffik_layer::{ResponseFuture, TraffikLayer, TraffikService},
};
pub use crate::request::{
    AsyncCost, AsyncIdentity, AsyncPredicate, AsyncRate, Bypass, ClientIp, Fields, ForwardedHeader, IntoCost,
    IntoIdentity, IntoRate, NetworkError, PatternError, ProxyError, Rule, RuleError,
};
