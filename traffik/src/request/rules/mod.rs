//! Rules: whether a throttle applies to a request. They are evaluated first.

mod applies;
mod build;
mod by_uid;
mod condition;
mod error;
mod forms;
mod glob;
mod handshake;
mod preflight;
mod request;
mod wildcard;

pub(crate) use self::preflight::is_preflight;
use self::request::RuleInput;
pub(crate) use self::{applies::Applies, by_uid::ByUid};
pub use self::{
    build::{Bypass, Rule},
    condition::AsyncPredicate,
    error::{PatternError, RuleError},
};
