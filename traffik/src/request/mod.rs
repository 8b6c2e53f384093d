//! Settings about requests: rules, cost, identity, rate, and addresses behind proxies.
//!
//! `web` calls them.

mod backend;
mod client_ip;
mod cost;
mod defaults;
mod denied;
mod drain;
mod fields;
mod function;
mod identity;
mod rate;
pub mod refund_if;
mod rules;
mod settings;
mod throttle_defaults;

#[cfg(feature = "admin")]
pub(crate) use self::function::OfParts;
pub(crate) use self::{
    backend::BackendOf,
    client_ip::{ClientAddress, peer_ip, warn_of_trust},
    cost::CostOf,
    defaults::RequestDefaults,
    drain::Drain,
    function::{Answer, Source},
    identity::Identity,
    rate::{RateKind, RateOf},
    refund_if::RefundIf,
    rules::{Applies, is_preflight},
    settings::{ErasedResponder, RequestSettings},
    throttle_defaults::ThrottleDefaults,
};
pub use self::{
    client_ip::{ClientIp, ForwardedHeader, NetworkError, ProxyError},
    cost::{AsyncCost, IntoCost},
    fields::Fields,
    identity::{AsyncIdentity, IntoIdentity},
    rate::{AsyncRate, IntoRate},
    rules::{AsyncPredicate, Bypass, PatternError, Rule, RuleError},
};
