use std::path::Path;

use crate::limit::{LimitsFileError, file::WithoutEffect};

/// The state of the limits file of an app. [`Traffik::limits_file_status`](crate::Traffik::limits_file_status) returns it.
///
/// It serializes as an object with the fields `path`, `loads`, `failures`, `error` (a string, or null) and `without_effect` (an
/// array of objects with `key` and `source`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct LimitsFileStatus {
    path: Box<str>,
    loads: u64,
    failures: u64,
    #[serde(serialize_with = "as_text")]
    error: Option<LimitsFileError>,
    pub(in crate::engine) without_effect: Vec<WithoutEffect>,
}

impl LimitsFileStatus {
    pub(in crate::engine) fn new(path: &Path) -> Self {
        let path = path.display().to_string().into();
        Self { path, loads: 0, failures: 0, error: None, without_effect: Vec::new() }
    }

    pub(in crate::engine) fn loaded(&mut self, without_effect: Vec<WithoutEffect>) {
        self.loads = self.loads.saturating_add(1);
        self.error = None;
        self.without_effect = without_effect;
    }

    pub(in crate::engine) fn failed(&mut self, error: LimitsFileError) {
        self.failures = self.failures.saturating_add(1);
        self.error = Some(error);
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns how often the file was put in force: 1 after the start.
    #[must_use]
    pub fn loads(&self) -> u64 {
        self.loads
    }

    /// Returns how often the file was found invalid or missing since the start.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Returns the error of the present file. `None` if it is in force.
    #[must_use]
    pub fn error(&self) -> Option<&LimitsFileError> {
        self.error.as_ref()
    }

    /// Returns the values of the last valid file that were not in force when it was loaded, because other sources are stronger.
    #[must_use]
    pub fn without_effect(&self) -> &[WithoutEffect] {
        &self.without_effect
    }
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn as_text<S: serde::Serializer>(error: &Option<LimitsFileError>, serializer: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&error.as_ref().map(ToString::to_string), serializer)
}
