use std::{borrow::Cow, fmt, ops::Deref};

use smallvec::SmallVec;

/// A text in a [`Part`](super::Part). Up to 16 bytes need no allocation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Text(SmallVec<[u8; 16]>);

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        // It is made from a `str`.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl Text {
    /// Returns the bytes of the text, in UTF-8.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl From<Cow<'_, str>> for Text {
    fn from(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
