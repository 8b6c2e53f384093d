/// A request to the settings that all users of a namespace share.
///
/// Settings are named texts with one version for all of them, which grows with each change. They are few and small, and are
/// not counted as entries.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ControlRequest<'a> {
    /// Reads all settings, if their version is not `known`. The version of no settings is 0.
    Read {
        /// The version that the caller knows.
        known: u64,
    },
    /// Replaces one setting, if it still has the `expected` value.
    Replace {
        /// The name of the setting.
        name: &'a str,
        /// The value that the caller knows, or `None` if the setting does not exist.
        expected: Option<&'a str>,
        /// The new value, or `None` to remove the setting.
        value: Option<&'a str>,
    },
}

/// The settings after a [`ControlRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Control {
    /// The version of the settings.
    pub version: u64,
    /// All settings by name, or `None` if the version is the known one.
    ///
    /// After a replacement all settings are returned. If the setting had another value than expected, they show it.
    pub settings: Option<Vec<(String, String)>>,
    /// Whether a setting was replaced.
    pub is_replaced: bool,
}

impl Control {
    /// Creates the answer to a request that changed nothing.
    #[must_use]
    pub const fn new(version: u64, settings: Option<Vec<(String, String)>>) -> Self {
        Self { version, settings, is_replaced: false }
    }

    /// Creates the answer to a request that replaced a setting.
    #[must_use]
    pub const fn replaced(version: u64, settings: Vec<(String, String)>) -> Self {
        Self { version, settings: Some(settings), is_replaced: true }
    }
}
