use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

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
    Text(Cow<'static, str>),
}

/// A number in a [`Part`]. Its bytes need no alignment, so that a part is as small as its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number([u8; 16]);

impl Number {
    /// Returns the number.
    #[must_use]
    pub const fn get(self) -> i128 {
        i128::from_le_bytes(self.0)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl Part {
    /// Writes a byte for the kind, and then the value. A text follows its length.
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
                write(&[3]);
                write(&number.0);
            }
            Self::Text(text) => {
                let [a, b, c, d, e, f, g, h] = u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes();
                write(&[4, a, b, c, d, e, f, g, h]);
                write(text.as_bytes());
            }
        }
    }
}

impl From<IpAddr> for Part {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl From<Ipv4Addr> for Part {
    fn from(address: Ipv4Addr) -> Self {
        Self::Address(address.into())
    }
}

impl From<Ipv6Addr> for Part {
    fn from(address: Ipv6Addr) -> Self {
        Self::Address(address.into())
    }
}

macro_rules! part_of_number {
    ($($number:ty),+) => {
        $(impl From<$number> for Part {
            fn from(number: $number) -> Self {
                Self::Number(Number(i128::from(number).to_le_bytes()))
            }
        })+
    };
}

part_of_number!(i8, i16, i32, i64, i128, u8, u16, u32, u64);

impl From<String> for Part {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&'static str> for Part {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Cow<'static, str>> for Part {
    fn from(text: Cow<'static, str>) -> Self {
        Self::Text(text)
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::Address(address) => address.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}
