use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use super::{Bytes, Number, Text};

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
