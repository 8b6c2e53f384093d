//! The web: how a request meets a throttle, and what comes back.
//!
//! A [`TraffikLayer`] puts the handle into the request. [`Throttled`], or a [`ThrottleLayer`] for a whole router, asks who
//! the client is, by its [address](client_ip()) unless told otherwise, and decides. What the request met is written down
//! with it, and its response tells that: as fields, or as a refusal that a [`Responder`] makes.

mod context;
mod default_identity;
mod handle;
mod ledger;
mod memo;
mod peer;
mod record;
mod rejection;
mod resolve;
mod response;
mod site;
mod throttle_layer;
mod throttle_set;
mod throttled;
mod traffik_layer;
mod turn;
mod uploads;
#[cfg(feature = "ws")]
pub mod ws;

use self::{context::RequestContext, site::Site};
pub use self::{
    peer::client_ip,
    rejection::{Declined, Limited, Misconfigured, Raised, ThrottleRejection, Unavailable, Unidentified},
    response::{EXPOSED_HEADERS, ProblemDetails, Responder, X_RATELIMIT_HEADERS},
    throttle_layer::{ThrottleLayer, ThrottleService, throttle_layer},
    throttle_set::ThrottleSet,
    throttled::Throttled,
    traffik_layer::{ResponseFuture, TraffikLayer, TraffikService},
};
pub use crate::request::{
    AsyncCost, AsyncIdentity, AsyncPredicate, AsyncRate, Bypass, ClientIp, ForwardedHeader, IntoCost, IntoIdentity,
    IntoRate, PatternError, ProxyError, Rule, RuleError,
};
