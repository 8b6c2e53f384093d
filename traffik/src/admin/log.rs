use std::fmt;

use super::{Operator, TARGET, extract::Scope};

/// A change of an operator, for the log.
pub(super) struct Entry<'a> {
    pub(super) operator: &'a Operator,
    pub(super) scope: Option<Scope>,
    pub(super) uid: Option<&'a str>,
    pub(super) change: &'static str,
    /// The value that the operator sets.
    pub(super) value: &'a str,
    /// The digest of the client.
    pub(super) client: Option<&'a str>,
    /// What was in force before.
    pub(super) from: Option<&'a str>,
    /// What is in force now.
    pub(super) to: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// Creates an entry without the rest.
    pub(super) fn new(operator: &'a Operator, change: &'static str, value: &'a str) -> Self {
        Self { operator, scope: None, uid: None, change, value, client: None, from: None, to: None }
    }

    /// Logs that the change was made, or why it failed.
    pub(super) fn log<T, E: fmt::Display>(&self, changed: &Result<T, E>) {
        let Self { operator, scope, uid, change, value, client, from, to } = self;
        let (operator, scope) = (operator.name(), scope.map(tracing::field::display));
        match changed {
            Ok(_) => {
                tracing::info!(
                    target: TARGET, operator, uid, change, value, scope, client, from, to, "an operator made a change"
                );
            }
            Err(error) => {
                tracing::warn!(
                    target: TARGET, operator, uid, change, value, scope, client, from, to, %error,
                    "the change of an operator failed"
                );
            }
        }
    }
}
