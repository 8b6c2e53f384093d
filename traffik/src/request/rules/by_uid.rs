//! Rules for throttles of other modules, by their uids.

use super::{Applies, Bypass, Rule};

/// The rules that an app adds to throttles.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByUid(Vec<(Box<str>, Applies)>);

impl ByUid {
    pub(crate) fn add_rule(&mut self, uid: &str, rule: Rule) {
        let mut added = Applies::default();
        added.add_rule(rule);
        self.0.push((uid.into(), added));
    }

    pub(crate) fn add_bypass(&mut self, uid: &str, bypass: Bypass) {
        let mut added = Applies::default();
        added.add_bypass(bypass);
        self.0.push((uid.into(), added));
    }

    /// Adds the rules for `uid` to its throttle.
    pub(crate) fn add_to(&self, uid: &str, applies: &mut Applies) {
        self.0.iter().filter(|(to, _)| **to == *uid).for_each(|(_, added)| applies.add_all(added));
    }

    /// Returns the uids that rules are added to.
    pub(crate) fn uids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(uid, _)| &**uid)
    }
}
