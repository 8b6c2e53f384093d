//! Rules: whether a throttle applies to a request. They are evaluated first.

mod condition;
mod forms;
mod glob;
mod handshake;
mod rule;

pub use self::{
    condition::{AsyncPredicate, PatternError, RuleError},
    rule::{Bypass, Rule},
};
pub(crate) use self::{
    handshake::is_preflight,
    rule::{Applies, ByUid},
};
