use std::{fmt, ops::Deref};

use smallvec::SmallVec;

/// Bytes in a [`Part`](super::Part), such as a digest or a UUID. They show in hexadecimal. Up to 16 need no allocation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Bytes(SmallVec<[u8; 16]>);

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const N: usize> From<[u8; N]> for Bytes {
    fn from(bytes: [u8; N]) -> Self {
        Self(SmallVec::from_slice(&bytes))
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
