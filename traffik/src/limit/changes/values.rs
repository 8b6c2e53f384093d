use std::fmt;

use traffik_core::{clock::Timestamp, rate::Rate};

use crate::request::Fields;

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

/// A source of the values of settings, from the strongest to the weakest. The first source that has a value for a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Source {
    /// A change in this process: [`LimitHandle`](crate::control::LimitHandle).
    Local,
    /// A change for all processes.
    Shared,
    /// A function of the throttle for each request, or a value that the caller of a check sets.
    Request,
    /// A file.
    File,
    /// The declaration of the throttle.
    Code,
}

/// Writes the name in lower case.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Shared => "shared",
            Self::Request => "request",
            Self::File => "file",
            Self::Code => "code",
        })
    }
}

/// A value for each source that changes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BySource<T> {
    pub(crate) local: T,
    pub(crate) shared: T,
    pub(crate) file: T,
}

impl<T: Copy> BySource<Option<T>> {
    /// Returns the values of `self`, and those of `other` where `self` has none.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { local: self.local.or(other.local), shared: self.shared.or(other.shared), file: self.file.or(other.file) }
    }
}

impl<T> BySource<T> {
    /// Returns each value, that of the strongest source first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        [&self.local, &self.shared, &self.file].into_iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        [&mut self.local, &mut self.shared, &mut self.file].into_iter()
    }

    pub(crate) fn map<U>(&self, mut f: impl FnMut(&T) -> U) -> BySource<U> {
        BySource { local: f(&self.local), shared: f(&self.shared), file: f(&self.file) }
    }

    /// Returns the value of the first source that has one and is stronger than the functions of a throttle.
    pub(crate) fn above<V>(&self, read: impl Fn(&T) -> Option<V>) -> Option<(V, Source)> {
        let local = read(&self.local).map(|value| (value, Source::Local));
        local.or_else(|| Some((read(&self.shared)?, Source::Shared)))
    }

    /// Returns the value of the first source that has one.
    pub(crate) fn first<V>(&self, read: impl Fn(&T) -> Option<V>) -> Option<(V, Source)> {
        self.above(&read).or_else(|| Some((read(&self.file)?, Source::File)))
    }
}

/// A setting of a limit that can change while the app runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Setting {
    /// The rate.
    Rate,
    /// The cost of a request.
    Cost,
    /// Whether the limit applies to any request.
    Enabled,
    /// Whether the limit only reports what it would refuse.
    DryRun,
    /// The rules and bypasses that were added.
    Rules,
}

/// The values of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) rate: Option<Rate>,
    pub(crate) cost: Option<u64>,
    pub(crate) switch: Option<Switch>,
    pub(crate) dry_run: Option<bool>,
    pub(crate) fields: Option<Fields>,
}

/// Whether a limit applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    On,
    Off,
    /// Off until this time by the app's clock. The source has no value from then on.
    OffUntil(Timestamp),
}

impl Values {
    pub(crate) fn set(&mut self, change: &Change) {
        self.rate = change.rate.or(self.rate);
        self.cost = change.cost.or(self.cost);
        self.switch = change.enabled.map(Switch::from).or(self.switch);
        self.dry_run = change.dry_run.or(self.dry_run);
    }

    pub(crate) fn clear(&mut self, setting: Setting) {
        match setting {
            Setting::Rate => self.rate = None,
            Setting::Cost => self.cost = None,
            Setting::Enabled => self.switch = None,
            Setting::DryRun => self.dry_run = None,
            Setting::Rules => {}
        }
    }
}

impl Switch {
    pub(crate) fn is_off(self) -> bool {
        self != Self::On
    }

    /// Returns the time at which the value ends, if it does.
    pub(crate) fn end(self) -> Option<Timestamp> {
        match self {
            Self::On | Self::Off => None,
            Self::OffUntil(end) => Some(end),
        }
    }
}

impl From<bool> for Switch {
    fn from(is_on: bool) -> Self {
        if is_on { Self::On } else { Self::Off }
    }
}
