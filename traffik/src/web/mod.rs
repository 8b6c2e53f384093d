//! The web: how a request meets a throttle, and what comes back.
//!
//! A [`TraffikLayer`] puts the handle into the request. [`Throttled`], or a [`ThrottleLayer`] for a whole router, asks who
//! the client is, by its [address](client_ip()) unless told otherwise, and decides. What the request met is written down
//! with it, and its response tells that: as fields, or as a refusal that a [`Responder`] makes.

mod client_ip;
mod context;
mod cost;
mod defaults;
mod function;
mod identity;
mod ledger;
mod memo;
mod peer;
mod rate;
mod rejection;
mod resolve;
mod response;
mod rules;
mod site;
mod throttle_layer;
mod throttle_set;
mod throttled;
mod traffik_layer;
mod turn;
mod uploads;
#[cfg(feature = "ws")]
pub mod ws;

pub use self::{
    client_ip::{ClientIp, ForwardedHeader},
    cost::{AsyncCost, IntoCost},
    identity::{AsyncIdentifier, IntoIdentity},
    peer::client_ip,
    rate::{AsyncRate, IntoRate},
    rejection::{Declined, Limited, Misconfigured, Raised, ThrottleRejection, Unavailable, Unidentified},
    response::{EXPOSED_HEADERS, ProblemDetails, Responder, X_RATELIMIT_HEADERS},
    rules::{AsyncPredicate, Bypass, PatternError, Rule, RuleError},
    throttle_layer::{ThrottleLayer, ThrottleService, throttle_layer},
    throttled::Throttled,
    traffik_layer::{ResponseFuture, TraffikLayer, TraffikService},
};
use self::{context::RequestContext, site::Site, throttle_set::ThrottleSet};
pub(crate) use self::{
    defaults::{WebDefaults, WebSettings},
    function::Source,
    response::Items,
    rules::ByUid,
};
