//! The rules of a throttle, put together.

use axum::http::request::Parts;
use traffik_core::backend::MaybeReady;

use super::{
    Bypass, Rule, Seen,
    condition::{Condition, all_hold, one_holds},
    error::RuleError,
};

/// To which requests a throttle applies: to all, if nothing is said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Applies(Option<Box<Rules>>);

#[derive(Clone, Debug, Default)]
struct Rules {
    /// All of them have to hold.
    only_when: Vec<Condition>,
    /// None of them may.
    except_when: Vec<Condition>,
    /// Whether one of them may have to be waited for.
    waits: bool,
}

impl Applies {
    pub(crate) fn add_rule(&mut self, Rule(rule): Rule) {
        let rules = self.rules();
        rules.waits |= rule.waits();
        rules.only_when.push(rule);
    }

    pub(crate) fn add_bypass(&mut self, Bypass(bypass): Bypass) {
        let rules = self.rules();
        rules.waits |= bypass.waits();
        rules.except_when.push(bypass);
    }

    fn rules(&mut self) -> &mut Rules {
        self.0.get_or_insert_default()
    }

    /// Returns whether it applies. What is known without waiting is ready.
    #[inline]
    pub(in crate::web) fn to<'a>(&'a self, parts: &'a Parts) -> MaybeReady<'a, bool> {
        let Some(rules) = &self.0 else { return MaybeReady::Ready(true) };
        match rules.apply_now(&Seen::new(parts)) {
            Some(applies) => MaybeReady::Ready(applies),
            None => MaybeReady::pending(rules.apply(parts)),
        }
    }

    /// An error for what was written wrong, and for rules that no request matches.
    pub(crate) fn check(&self) -> Result<(), RuleError> {
        let Some(rules) = &self.0 else { return Ok(()) };
        let mut all = rules.only_when.iter().chain(&rules.except_when);
        match all.find_map(Condition::error) {
            Some(error) => Err(error.clone()),
            None => rules.check_meet(),
        }
    }
}

impl Rules {
    fn apply_now(&self, request: &Seen<'_>) -> Option<bool> {
        let holds = all_hold(self.only_when.iter().map(|rule| rule.holds_now(request, true)));
        if holds == Some(false) {
            return holds;
        }
        let excepted = one_holds(self.except_when.iter().map(|bypass| bypass.holds_now(request, false)));
        all_hold([holds, excepted.map(|excepted| !excepted)].into_iter())
    }

    /// Asks those that are still open.
    async fn apply(&self, parts: &Parts) -> bool {
        for rule in self.only_when.iter().filter(|rule| rule.waits()) {
            if !rule.holds(parts, true).await {
                return false;
            }
        }
        for bypass in self.except_when.iter().filter(|bypass| bypass.waits()) {
            if bypass.holds(parts, false).await {
                return false;
            }
        }
        true
    }

    /// Whether all that has to hold can hold at once, as far as is known.
    fn check_meet(&self) -> Result<(), RuleError> {
        let mut before: Vec<&Condition> = Vec::new();
        for condition in self.only_when.iter().flat_map(Condition::necessary) {
            if let Some(other) = before.iter().find(|other| other.excludes(condition)) {
                return Err(RuleError::NeverBoth { one: format!("{other:?}"), other: format!("{condition:?}") });
            }
            before.push(condition);
        }
        Ok(())
    }
}
