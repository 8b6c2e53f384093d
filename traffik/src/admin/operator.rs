use std::fmt;

/// The person or the program that calls the [`router`](super::router). A [`Guard`](super::Guard) returns it.
///
/// ```
/// use traffik::admin::Operator;
///
/// assert!(Operator::new("dana").may_change());
/// assert!(!Operator::new("dashboard").read_only().may_change());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub struct Operator {
    name: Box<str>,
    may_change: bool,
}

impl Operator {
    /// Creates an operator that may read and change everything. The name is for the log.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self { name: name.into(), may_change: true }
    }

    /// Lets the operator read alone. A change is answered with a 403.
    pub fn read_only(self) -> Self {
        Self { may_change: false, ..self }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns `true` if the operator may make changes.
    #[must_use]
    pub fn may_change(&self) -> bool {
        self.may_change
    }
}

/// Writes the name.
impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}
