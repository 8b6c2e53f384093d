//! The combined rules of a throttle.

use axum::http::request::Parts;
use traffik_core::backend::MaybeReady;

use super::{
    Bypass, Rule, RuleInput,
    condition::{Condition, settled_by},
    error::RuleError,
};
use crate::request::client_ip::ClientAddress;

/// The requests that a throttle applies to: rules expect their condition to be true, bypasses to be false. Cheap ones
/// are first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Applies(Vec<(bool, Condition)>);

impl Applies {
    pub(crate) fn add_rule(&mut self, Rule(rule): Rule) {
        self.add([(true, rule)]);
    }

    pub(crate) fn add_bypass(&mut self, Bypass(bypass): Bypass) {
        self.add([(false, bypass)]);
    }

    /// Adds all of `others`.
    pub(crate) fn add_all(&mut self, others: &Self) {
        self.add(others.0.iter().cloned());
    }

    fn add(&mut self, conditions: impl IntoIterator<Item = (bool, Condition)>) {
        self.0.extend(conditions);
        self.0.sort_by_key(|(_, condition)| condition.effort());
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks whether the throttle applies to a request. Async functions are called only if the other rules do not
    /// decide, and only once the result is awaited.
    #[inline]
    pub(crate) fn to<'a>(&'a self, parts: &'a Parts, by: impl FnOnce() -> ClientAddress<'a>) -> MaybeReady<'a, bool> {
        if self.0.is_empty() {
            return MaybeReady::Ready(true);
        }
        let input = RuleInput::new(parts, by());
        settled_by(false, self.0.iter().map(|(expected, condition)| condition.may_be(*expected, &input)))
    }

    /// Returns an error for an invalid rule, and for rules that no request matches.
    pub(crate) fn check(&self) -> Result<(), RuleError> {
        if let Some(error) = self.0.iter().find_map(|(_, condition)| condition.error()) {
            return Err(error.clone());
        }
        let rules = self.0.iter().filter(|(expected, _)| *expected);
        let mut before: Vec<&Condition> = Vec::new();
        for condition in rules.flat_map(|(_, rule)| rule.necessary()) {
            if let Some(other) = before.iter().find(|other| other.excludes(condition)) {
                return Err(RuleError::NeverBoth { one: format!("{other:?}"), other: format!("{condition:?}") });
            }
            before.push(condition);
        }
        Ok(())
    }
}
