use std::{error::Error, fmt};

use thiserror::Error;
use traffik_core::{backend::BackendError, decision::Hit};

use super::{display::Hits, observed::Observed};

/// A case that a backend fails: the call, the expected answer, and the answer of the backend.
#[derive(Clone, Debug, Error)]
#[error("{case}: {mismatch}")]
pub struct Failure {
    case: &'static str,
    mismatch: Mismatch,
}

/// A call, the expected answer, and the answer of the backend.
#[derive(Clone, Debug)]
pub(super) struct Mismatch {
    asked: String,
    expected: String,
    found: String,
}

impl Failure {
    pub(super) fn new(case: &'static str, mismatch: Mismatch) -> Self {
        Self { case, mismatch }
    }

    /// Returns the name of the case.
    #[must_use]
    pub fn case(&self) -> &'static str {
        self.case
    }

    /// Returns a description of the call.
    #[must_use]
    pub fn asked(&self) -> &str {
        &self.mismatch.asked
    }

    /// Returns the expected answer.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.mismatch.expected
    }

    /// Returns the answer of the backend.
    #[must_use]
    pub fn found(&self) -> &str {
        &self.mismatch.found
    }
}

impl Mismatch {
    pub(super) fn new(asked: impl Into<String>, expected: impl fmt::Debug, found: impl fmt::Debug) -> Self {
        Self { asked: asked.into(), expected: format!("{expected:?}"), found: format!("{found:?}") }
    }

    /// Creates the mismatch of two outcomes, of which one may be missing.
    pub(super) fn of_outcomes(asked: String, expected: Option<&Observed>, found: Option<&Observed>) -> Self {
        let words = |observed: Option<&Observed>| observed.map_or_else(|| "no outcome".to_owned(), ToString::to_string);
        Self { asked, expected: words(expected), found: words(found) }
    }

    pub(super) fn unanswered(call: &str, hits: &[Hit<'_>], error: &BackendError) -> Self {
        Self::unanswered_at_all(format!("{call} of {}", Hits(hits)), error)
    }

    pub(super) fn unanswered_at_all(asked: impl Into<String>, error: &(dyn Error + 'static)) -> Self {
        let found = format!("the error: {}", in_full(error));
        Self { asked: asked.into(), expected: "an answer".to_owned(), found }
    }
}

/// Returns the texts of an error and of its sources.
fn in_full(error: &(dyn Error + 'static)) -> String {
    let chain: Vec<_> =
        std::iter::successors(Some(error), |error| (*error).source()).map(ToString::to_string).collect();
    chain.join(": ")
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { asked, expected, found } = self;
        write!(f, "{asked}\n  expected {expected}\n  found    {found}")
    }
}

/// All cases that a backend fails.
#[derive(Clone, Debug)]
pub struct Failures(pub(super) Vec<Failure>);

impl Failures {
    /// Returns the failures in the order of the cases.
    pub fn iter(&self) -> impl Iterator<Item = &Failure> {
        self.0.iter()
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the backend fails {} cases", self.0.len())?;
        self.iter().try_for_each(|failure| write!(f, "\n\n{failure}"))
    }
}

impl Error for Failures {}
