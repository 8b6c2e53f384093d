use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::Deref,
    sync::Arc,
};

use smallvec::SmallVec;

/// One part of a [`Key`](super::Key).
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// An unknown client. All unknown clients are one.
    Anonymous,
    /// An address, or the network that it is counted by.
    Address(IpAddr),
    /// A number of any integer type, such as the id of a user in a database.
    Number(Number),
    /// A text, such as the name of a user.
    Text(Text),
    /// Bytes, such as a digest. A UUID is its 16 bytes.
    Bytes(Bytes),
}

impl Part {
    /// Writes a byte for the kind, and then the value. A text follows its length, and so do bytes.
    ///
    /// The bytes are the same for all word sizes, since different machines may share a store.
    #[inline]
    pub(super) fn write_to(&self, mut write: impl FnMut(&[u8])) {
        match self {
            Self::Anonymous => write(&[0]),
            Self::Address(IpAddr::V4(address)) => {
                write(&[1]);
                write(&address.octets());
            }
            Self::Address(IpAddr::V6(address)) => {
                write(&[2]);
                write(&address.octets());
            }
            Self::Number(number) => {
                let (kind, bytes) = number.bytes();
                write(&[kind]);
                write(bytes);
            }
            Self::Text(text) => write_with_length(4, text.as_bytes(), write),
            Self::Bytes(bytes) => write_with_length(5, bytes, write),
        }
    }
}

fn write_with_length(kind: u8, bytes: &[u8], mut write: impl FnMut(&[u8])) {
    let [a, b, c, d, e, f, g, h] = u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes();
    write(&[kind, a, b, c, d, e, f, g, h]);
    write(bytes);
}

/// Creates a part from each of these types.
macro_rules! part_of {
    ($($value:ident: $($kind:ty),+ => $part:expr;)+) => {
        $($(impl From<$kind> for Part {
            fn from($value: $kind) -> Self {
                $part
            }
        })+)+
    };
}

part_of! {
    address: IpAddr => Self::Address(address);
    address: Ipv4Addr, Ipv6Addr => Self::Address(address.into());
    number: i128 => Self::Number(number.into());
    number: i8, i16, i32, i64, u8, u16, u32, u64 => Self::Number(i128::from(number).into());
    number: u128 => Self::Number(number.into());
    // No machine has more than 64 bits.
    number: usize => Self::from(u64::try_from(number).unwrap_or(u64::MAX));
    number: isize => Self::from(i64::try_from(number).unwrap_or(i64::MAX));
    text: &str, String, Cow<'_, str> => Self::Text(text.into());
    text: &String => Self::Text(text.as_str().into());
    text: Box<str> => Self::Text(String::from(text).into());
    text: Arc<str> => Self::Text((*text).into());
}

impl<const N: usize> From<[u8; N]> for Part {
    fn from(bytes: [u8; N]) -> Self {
        Self::Bytes(bytes.into())
    }
}

#[cfg(feature = "uuid")]
impl From<uuid::Uuid> for Part {
    fn from(uuid: uuid::Uuid) -> Self {
        uuid.into_bytes().into()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Address(address) => address.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Bytes(bytes) => bytes.fmt(f),
        }
    }
}

/// A number in a [`Part`]: any value of `i128` or `u128`. It shows in decimal.
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
    fn bytes(&self) -> (u8, &[u8; 16]) {
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

/// A text in a [`Part`]. Up to 16 bytes need no allocation.
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

/// Bytes in a [`Part`], such as a digest or a UUID. They show in hexadecimal. Up to 16 need no allocation.
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
