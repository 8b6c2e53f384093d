//! Settings about requests: rules, cost, identity, rate, and addresses behind proxies.
//!
//! `web` calls them.

mod client_ip;
mod function;
mod identity;
pub mod refund_if;
mod rules;
mod settings;

#[cfg(feature = "admin")]
pub(crate) use self::function::OfParts;
pub(crate) use self::{
    client_ip::{ClientAddress, peer_ip, warn_of_trust},
    function::{Answer, BackendOf, CostOf, RateKind, RateOf, Source},
    identity::Identity,
    refund_if::RefundIf,
    rules::{Applies, is_preflight},
    settings::{Drain, ErasedResponder, RequestDefaults, RequestSettings, ThrottleDefaults},
};
pub use self::{
    client_ip::{ClientIp, ForwardedHeader, NetworkError, ProxyError},
    function::{AsyncCost, AsyncRate, IntoCost, IntoRate},
    identity::{AsyncIdentity, IntoIdentity},
    rules::{AsyncPredicate, Bypass, PatternError, Rule, RuleError},
    settings::Fields,
};
