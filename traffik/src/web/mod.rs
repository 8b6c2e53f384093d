//! The web: how a request meets a throttle, and what comes back.
//!
//! A [`TraffikLayer`] puts the handle into the request. [`Throttled`], or a [`ThrottleLayer`] for a whole router, asks who
//! the client is, by its [address](client_ip()) unless told otherwise, and decides. What the request met is written down
//! with it, and its response tells that: as fields, or as a refusal that a [`Responder`] makes.

mod client_ip;
mod cost;
mod defaults;
mod extract;
mod function;
mod identity;
mod ledger;
mod peer;
mod place;
mod rate;
mod rejection;
mod response;
mod rules;
mod throttle_layer;
mod traffik_layer;
mod uploads;
#[cfg(feature = "ws")]
pub mod ws;

pub use self::{
    client_ip::{ClientIp, ForwardedHeader},
    cost::{AsyncCost, IntoCost},
    extract::Throttled,
    identity::{AsyncIdentifier, IntoIdentity},
    peer::client_ip,
    rate::{AsyncRate, IntoRate},
    rejection::{Declined, Limited, Misconfigured, Raised, ThrottleRejection, Unavailable, Unidentified},
    response::{EXPOSED_HEADERS, ProblemDetails, Responder, X_RATELIMIT_HEADERS},
    rules::{AsyncPredicate, Bypass, PatternError, Rule, RuleError},
    throttle_layer::{ThrottleLayer, ThrottleService, throttle_layer},
    traffik_layer::{ResponseFuture, TraffikLayer, TraffikService},
};
pub(crate) use self::{
    defaults::{Asks, WebDefaults, WebSettings},
    response::Items,
    rules::ByUid,
};
