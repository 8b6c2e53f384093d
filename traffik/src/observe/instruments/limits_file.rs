use std::sync::{Mutex, PoisonError};

use super::{Counter, Gauge, Held, table as metric};

/// The instruments of the limits file of an app.
#[derive(Debug, Default)]
pub(crate) struct LimitsFileInstruments {
    loaded: Counter,
    failed: Counter,
    invalid: Gauge,
    /// While the file is invalid.
    held: Mutex<Option<Held>>,
}

impl LimitsFileInstruments {
    /// Counts a load, and shows whether the file is valid. All series exist from the first call on.
    pub(crate) fn read(&self, is_valid: bool) {
        self.loaded.add(&metric::LIMITS_FILE_LOADS, &["loaded"], is_valid.into());
        self.failed.add(&metric::LIMITS_FILE_LOADS, &["failed"], (!is_valid).into());
        self.invalid.add(&metric::LIMITS_FILE_INVALID, &[], 0.0);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if is_valid {
            *held = None;
        } else if held.is_none() {
            *held = Some(self.invalid.hold(&metric::LIMITS_FILE_INVALID, &[]));
        }
    }
}
