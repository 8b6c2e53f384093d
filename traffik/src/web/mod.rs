//! Integration with axum: how a request meets a throttle, and what the client receives.
//!
//! A [`TraffikLayer`] puts the handle into the request. [`Throttled`], or a [`ThrottleLayer`] for a whole router,
//! identifies the client, by default by its [address](client_ip()), and decides. The request carries a record of the
//! limits that it met. The response shows them in its fields; a [`Responder`] makes the response to a rejected request.

mod context;
mod default_identity;
#[cfg(feature = "file")]
mod file_limits_layer;
mod handle;
pub mod identity;
mod kept_rejection;
mod ledger;
mod limit_layer;
mod limit_service;
mod limit_set;
mod limiter;
mod limiter_checks;
mod limiters;
mod limits;
mod memo;
#[cfg(any(feature = "aide", feature = "utoipa"))]
mod openapi;
mod peek;
mod peer;
mod record;
mod rejection;
mod request_head;
mod request_quota;
mod resolve;
mod response;
mod settle_body;
mod site;
mod throttle_layer;
mod throttle_set;
mod throttled;
mod traffik_layer;
mod turn;
mod unquoted;
mod uploads;
#[cfg(feature = "ws")]
pub mod ws;

#[cfg(feature = "file")]
pub use self::file_limits_layer::FileLimitsLayer;
#[cfg(feature = "admin")]
pub(crate) use self::response::plain_problem;
use self::{context::RequestContext, site::Site};
pub use self::{
    limit_layer::{LimitLayer, limit_layer, limit_layer_of},
    limit_service::LimitService,
    limiter::Limiter,
    limiters::Limiters,
    peek::Peek,
    peer::client_ip,
    rejection::{Declined, Denied, Limited, Misconfigured, Raised, ThrottleRejection, Unavailable, Unidentified},
    request_head::ResponseFormat,
    request_quota::RequestQuota,
    response::{DefaultResponder, EXPOSED_HEADERS, ProblemDetails, Responder, X_RATELIMIT_HEADERS, set_fields},
    throttle_layer::{ThrottleLayer, ThrottleService, throttle_layer},
    throttle_set::ThrottleSet,
    throttled::Throttled,
    traffik_layer::{ResponseFuture, TraffikLayer, TraffikService},
};
pub use crate::request::{
    AsyncCost, AsyncIdentity, AsyncPredicate, AsyncRate, Bypass, ClientIp, Fields, ForwardedHeader, IntoCost,
    IntoIdentity, IntoRate, NetworkError, PatternError, ProxyError, Rule, RuleError,
};
