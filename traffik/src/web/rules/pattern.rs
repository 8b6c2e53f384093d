//! What a path is compared with.

use std::fmt;

use super::{error::PatternError, forms::Forms, glob::Glob};

/// A pattern, as it was written and as it is used.
#[derive(Clone)]
pub(super) struct Pattern {
    text: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Glob(Glob),
    #[cfg(feature = "regex")]
    Regex(regex::Regex),
}

impl Pattern {
    pub(super) fn glob(text: &str) -> Result<Self, PatternError> {
        Self::new(text, Glob::new(text).map(Kind::Glob))
    }

    pub(super) fn prefix(text: &str) -> Result<Self, PatternError> {
        Self::new(text, Glob::below(text).map(Kind::Glob))
    }

    /// A regex that is looked for anywhere in a path.
    #[cfg(feature = "regex")]
    pub(super) fn regex(text: &str) -> Result<Self, PatternError> {
        Self::new(text, regex::Regex::new(text).map(Kind::Regex))
    }

    /// A regex that has to match a path from end to end.
    #[cfg(feature = "regex")]
    pub(super) fn whole_regex(text: &str) -> Result<Self, PatternError> {
        // By itself first: it is to be one before anything is put around it.
        let whole = regex::Regex::new(text).and_then(|_| regex::Regex::new(&format!(r"\A(?:{text})\z")));
        Self::new(text, whole.map(Kind::Regex))
    }

    fn new(text: &str, kind: Result<Kind, impl ToString>) -> Result<Self, PatternError> {
        match kind {
            Ok(kind) => Ok(Self { text: text.to_owned(), kind }),
            Err(reason) => Err(PatternError::new(text, reason.to_string())),
        }
    }

    /// Whether a path matches: in one of its forms if that is enough, else in all of them, and then with all its slashes.
    pub(super) fn matches(&self, path: &Forms<'_>, one_is_enough: bool) -> bool {
        let (mut kept, mut merged) = (path.with_slashes(), path.merged());
        match &self.kind {
            Kind::Glob(glob) if one_is_enough => kept.chain(merged).any(|form| glob.matches(form)),
            Kind::Glob(glob) => kept.all(|form| glob.matches_exactly(form)) && merged.all(|form| glob.matches(form)),
            #[cfg(feature = "regex")]
            Kind::Regex(regex) if one_is_enough => kept.chain(merged).any(|form| regex.is_match(form)),
            #[cfg(feature = "regex")]
            Kind::Regex(regex) => kept.chain(merged).all(|form| regex.is_match(form)),
        }
    }

    /// Whether it is a regex, which takes longer.
    pub(super) fn is_regex(&self) -> bool {
        !matches!(self.kind, Kind::Glob(_))
    }

    /// Whether it is known that no path matches both.
    pub(super) fn excludes(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Glob(one), Kind::Glob(other)) => one.excludes(other),
            #[cfg(feature = "regex")]
            _ => false,
        }
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}
