use std::fmt;

/// A number in a [`Part`](super::Part): any value of `i128` or `u128`. It shows in decimal.
///
/// Its bytes need no alignment, so that a part is as small as its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number {
    bytes: [u8; 16],
    /// Whether it is above the values of `i128`.
    is_large: bool,
}

impl Number {
    /// Returns a byte for the type, and the value as little-endian bytes.
    pub(super) fn bytes(&self) -> (u8, &[u8; 16]) {
        (if self.is_large { 6 } else { 3 }, &self.bytes)
    }
}

impl From<i128> for Number {
    fn from(number: i128) -> Self {
        Self { bytes: number.to_le_bytes(), is_large: false }
    }
}

impl From<u128> for Number {
    fn from(number: u128) -> Self {
        Self { bytes: number.to_le_bytes(), is_large: i128::try_from(number).is_err() }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_large {
            true => u128::from_le_bytes(self.bytes).fmt(f),
            false => i128::from_le_bytes(self.bytes).fmt(f),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
