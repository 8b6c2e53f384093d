use traffik_core::rate::Rate;

/// New values for the settings of a limit, which are set together. Settings without a value stay.
///
/// ```
/// use traffik::{Rate, control::Change};
///
/// let change = Change::new().rate(Rate::literal("20/min")).cost(2);
/// assert_ne!(change, Change::new());
/// ```
///
/// With the feature `serde` it is an object with the fields `rate`, `cost`, `enabled` and `dry_run`, each of which may be
/// left out. An unknown field is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
#[must_use = "a change has no effect until it is applied"]
pub struct Change {
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub(crate) rate: Option<Rate>,
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub(crate) cost: Option<u64>,
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub(crate) enabled: Option<bool>,
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub(crate) dry_run: Option<bool>,
}

impl Change {
    /// Creates a change of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the rate.
    pub fn rate(self, rate: Rate) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// Sets the cost of a request.
    pub fn cost(self, cost: u64) -> Self {
        Self { cost: Some(cost), ..self }
    }

    /// Puts the limit into a [dry run](crate::Settings::dry_run), or ends it.
    pub fn dry_run(self, dry_run: bool) -> Self {
        Self { dry_run: Some(dry_run), ..self }
    }

    /// Enables or disables the limit.
    pub fn enabled(self, enabled: bool) -> Self {
        Self { enabled: Some(enabled), ..self }
    }
}
