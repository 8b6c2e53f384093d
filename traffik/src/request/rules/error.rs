use thiserror::Error;

use crate::request::client_ip::NetworkError;

/// An error in a rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A pattern is invalid.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A rule lists no methods.
    #[error("a rule has an empty list of methods, so it would never match: list at least one")]
    NoMethods,
    /// A rule or a bypass lists a text that is neither an address nor a network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A rule lists no networks.
    #[error("a rule has an empty list of networks, so it would never match: list at least one")]
    NoNetworks,
    /// No request matches all conditions.
    #[error(
        "no request matches both {one} and {other}, so the throttle would never apply. All rules of a throttle must \
         match: to require only one of them, write `one.or(other)`"
    )]
    #[non_exhaustive]
    NeverBoth {
        /// A condition that must be true.
        one: String,
        /// A condition that is never true with it.
        other: String,
    },
}

/// An invalid pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the pattern {pattern:?} cannot be used: {reason}")]
pub struct PatternError {
    pattern: String,
    reason: String,
}

impl PatternError {
    pub(super) fn new(pattern: &str, reason: String) -> Self {
        Self { pattern: pattern.to_owned(), reason }
    }

    /// Returns the pattern.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}
