use std::ops::RangeInclusive;

use thiserror::Error;

/// A setting has a value that is out of its range.
///
/// ```
/// use traffik::backend::MemoryBackend;
///
/// let error = MemoryBackend::builder("myapp").max_entries(5).build().unwrap_err();
/// assert_eq!(error.to_string(), "`MemoryBackendBuilder::max_entries` is 5: set it to a value from 16 to 268435456");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{setting}` is {value}: set it to a value {}", words(.range))]
pub struct OutOfRange {
    setting: &'static str,
    value: u64,
    range: RangeInclusive<u64>,
}

impl OutOfRange {
    /// Checks a value. `setting` is the path of the method that sets it.
    ///
    /// # Errors
    ///
    /// Returns an error if the value is out of range.
    pub fn check(setting: &'static str, value: u64, range: RangeInclusive<u64>) -> Result<(), Self> {
        if range.contains(&value) { Ok(()) } else { Err(Self { setting, value, range }) }
    }

    /// Returns the path of the method that sets the value.
    #[must_use]
    pub fn setting(&self) -> &'static str {
        self.setting
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.value
    }

    /// Returns the values that are allowed.
    #[must_use]
    pub fn range(&self) -> RangeInclusive<u64> {
        self.range.clone()
    }
}

fn words(range: &RangeInclusive<u64>) -> String {
    match (range.start(), range.end()) {
        (start, &u64::MAX) => format!("of at least {start}"),
        (start, end) => format!("from {start} to {end}"),
    }
}
