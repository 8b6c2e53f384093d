use traffik_core::{clock::Timestamp, rate::Rate};

use super::Change;
use crate::request::Fields;

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
