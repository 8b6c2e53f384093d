use std::{fmt, slice};

use super::Part;

/// The key of a client: one [`Part`] or several, in order.
///
/// Two keys are equal only if all their parts are equal. Parts are never joined into a text, so no user name or header can
/// imitate another client. Parts of different kinds differ as well: a user with the name `203.0.113.7` is not the client with
/// that address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(Parts);

/// A single part is never a slice, so keys of the same parts are equal.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Parts {
    One(Part),
    Secret(Part),
    Several(Box<[Part]>),
}

impl Key {
    /// Returns the key that all unknown clients share.
    #[must_use]
    pub fn anonymous() -> Self {
        Part::Anonymous.into()
    }

    /// Creates a secret key, for example from an API key. It is never shown, and leaves the process only as a digest.
    #[must_use]
    pub fn secret(secret: impl Into<Part>) -> Self {
        Self(Parts::Secret(secret.into()))
    }

    /// Returns the parts, in order, or `None` if the key is secret.
    #[inline]
    #[must_use]
    pub fn parts(&self) -> Option<&[Part]> {
        (!self.is_secret()).then(|| self.all_parts())
    }

    /// Returns bytes that are unique to this key, for a digest. Do not store or send the bytes of a secret key.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_to(|piece| bytes.extend_from_slice(piece));
        bytes
    }

    /// Passes the bytes of [`to_bytes`](Self::to_bytes) to `write`, in pieces and without an allocation.
    #[inline]
    pub fn write_to(&self, mut write: impl FnMut(&[u8])) {
        write(&[self.is_secret().into()]);
        for part in self.all_parts() {
            part.write_to(&mut write);
        }
    }

    /// Creates a key of several parts, or of one. Without parts it is that of unknown clients.
    pub(super) fn of_parts(parts: Vec<Part>) -> Self {
        match <[Part; 1]>::try_from(parts) {
            Ok([part]) => part.into(),
            Err(parts) if parts.is_empty() => Self::anonymous(),
            Err(parts) => Self(Parts::Several(parts.into())),
        }
    }

    #[inline]
    fn all_parts(&self) -> &[Part] {
        match &self.0 {
            Parts::One(part) | Parts::Secret(part) => slice::from_ref(part),
            Parts::Several(parts) => parts,
        }
    }

    #[inline]
    pub(super) fn parts_mut(&mut self) -> &mut [Part] {
        match &mut self.0 {
            Parts::One(part) | Parts::Secret(part) => slice::from_mut(part),
            Parts::Several(parts) => parts,
        }
    }

    /// Returns `true` if the key must not be shown or stored.
    #[inline]
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self.0, Parts::Secret(_))
    }
}

impl<P: Into<Part>> From<P> for Key {
    fn from(part: P) -> Self {
        Self(Parts::One(part.into()))
    }
}

/// Creates a key from a tuple of parts.
macro_rules! key_of_parts {
    ($($part:ident),+) => {
        impl<$($part: Into<Part>),+> From<($($part,)+)> for Key {
            #[allow(non_snake_case)]
            fn from(($($part,)+): ($($part,)+)) -> Self {
                Self(Parts::Several([$($part.into()),+].into()))
            }
        }
    };
}

key_of_parts!(A, B);
key_of_parts!(A, B, C);
key_of_parts!(A, B, C, D);

/// Shows the parts with `/` between them, or `[secret]`.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_secret() {
            return f.write_str("[secret]");
        }
        for (i, part) in self.all_parts().iter().enumerate() {
            if i > 0 {
                f.write_str("/")?;
            }
            part.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, net::Ipv4Addr, sync::Arc};

    use super::*;

    #[test]
    fn keys_of_other_parts_are_other_keys() {
        let keys = [
            Key::from(("a:b", "c")),
            Key::from(("a", "b:c")),
            Key::from(("a", "b", "c")),
            Key::from("a:b:c"),
            Key::from("abc"),
            Key::from(("abc", "")),
            Key::from(("", "abc")),
            Key::from("42"),
            Key::from(42_u64),
            Key::from("203.0.113.7"),
            Key::from(Ipv4Addr::new(203, 0, 113, 7)),
            Key::secret("abc"),
            Key::anonymous(),
            Key::from("anonymous"),
            Key::from(u128::MAX),
            Key::from(u128::MAX.to_le_bytes()),
            Key::from(-1_i128),
            Key::from(*b"abc"),
            Key::from(*b"abc\0"),
        ];
        let bytes: HashSet<_> = keys.iter().map(Key::to_bytes).collect();
        assert_eq!(bytes.len(), keys.len());
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());
    }

    #[test]
    fn keys_of_other_parts_write_other_bytes() {
        let written = |key: Key| key.to_bytes();
        let all = [
            written(("a:b", "c").into()),
            written(("a", "b:c").into()),
            written("a".into()),
            written(("a", "").into()),
            written(Key::secret("a")),
            written(97_u64.into()),
            written(Ipv4Addr::new(0, 0, 0, 97).into()),
            written(Ipv4Addr::new(0, 0, 0, 97).to_ipv6_mapped().into()),
            written(Key::anonymous()),
        ];
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    }

    #[test]
    fn written_key_is_the_same_on_every_machine() {
        let key = Key::from(("ab", 258, Ipv4Addr::new(203, 0, 113, 7), Part::Anonymous));
        let text = b"\x04\x02\0\0\0\0\0\0\0ab";
        let number = b"\x03\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(key.to_bytes(), [&b"\0"[..], text, number, b"\x01\xcb\0\x71\x07", b"\0"].concat());
        assert_eq!(Key::secret("ab").to_bytes(), [&b"\x01"[..], text].concat());
    }

    #[test]
    fn secret_is_not_shown() {
        let shown = format!("{:?} {:?}", Key::secret("hunter2"), crate::Client::secret("hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(Key::secret("hunter2").parts(), None);
    }

    #[test]
    fn client_takes_forty_bytes() {
        assert_eq!([size_of::<Key>(), size_of::<crate::Client>()], [40, 40]);
    }

    #[test]
    fn numbers_of_all_integer_types_are_equal() {
        for key in [Key::from(7_usize), Key::from(7_isize), Key::from(7_u128), Key::from(7_i8)] {
            assert_eq!(key, Key::from(7_u64));
        }
    }

    #[test]
    fn text_of_any_owner_and_length_is_equal() {
        for text in ["", "short", "longer than what fits in place"] {
            let (owned, shown) = (text.to_owned(), format!("{text:?}"));
            assert_eq!([Key::from(&owned), Key::from(owned.clone())], [Key::from(text), Key::from(text)]);
            assert_eq!(
                [Key::from(Box::<str>::from(text)), Key::from(Arc::<str>::from(text))],
                [Key::from(text), Key::from(text)]
            );
            assert_eq!(format!("{:?}", Key::from(text)), shown);
        }
    }

    #[test]
    fn key_shows_its_parts() {
        assert_eq!(format!("{:?}", Key::from((u128::MAX, *b"\x00\xff"))), format!("{}/00ff", u128::MAX));
        assert_eq!(format!("{:?}", Key::from(("user", 42_u64))), "\"user\"/42");
    }
}
