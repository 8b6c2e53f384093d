//! Rules for throttles of other modules, which are known here by their uids.

use super::{Applies, Bypass, Rule};

/// What an app adds to throttles.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByUid(Vec<(&'static str, Added)>);

#[derive(Clone, Debug)]
enum Added {
    Rule(Rule),
    Bypass(Bypass),
}

impl ByUid {
    pub(in crate::web) fn add_rule(&mut self, uid: &'static str, rule: Rule) {
        self.0.push((uid, Added::Rule(rule)));
    }

    pub(in crate::web) fn add_bypass(&mut self, uid: &'static str, bypass: Bypass) {
        self.0.push((uid, Added::Bypass(bypass)));
    }

    /// Adds to a throttle what there is for it.
    pub(crate) fn add_to(&self, uid: &str, applies: &mut Applies) {
        for (_, added) in self.0.iter().filter(|(to, _)| *to == uid) {
            match added.clone() {
                Added::Rule(rule) => applies.add_rule(rule),
                Added::Bypass(bypass) => applies.add_bypass(bypass),
            }
        }
    }

    /// The first uid that is not one of these.
    pub(crate) fn uid_not_of(&self, known: &[&'static str]) -> Option<&'static str> {
        self.0.iter().map(|(uid, _)| *uid).find(|uid| !known.contains(uid))
    }
}
