use thiserror::Error;

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A pattern cannot be read.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// A rule is about no method at all.
    #[error("a rule names no methods, so it would never match")]
    NoMethods,
    /// No request matches all that has to match.
    #[error(
        "no request matches both {one} and {other}, so the throttle would never apply. All rules of a throttle have to \
         match: where one of them is enough write `one.or(other)`"
    )]
    #[non_exhaustive]
    NeverBoth {
        /// What has to match.
        one: String,
        /// What never matches with it.
        other: String,
    },
}

/// A pattern that cannot be read.
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

    /// The pattern.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }
}
