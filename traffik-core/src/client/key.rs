use std::{fmt, slice};

use super::Part;

/// The key that a client's limits are kept under: one [`Part`] or several, in order.
///
/// Two keys are the same only if all their parts are: parts are never joined into a text, so no choice of user name
/// or header makes one client into another. Parts of different kinds differ as well: a user who calls himself
/// `203.0.113.7` is not the client at that address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key(Parts);

/// Two keys of the same parts are the same, so that one part is never a slice.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Parts {
    One(Part),
    Secret(Part),
    Several(Box<[Part]>),
}

impl Key {
    /// The one key that all clients share of whom nothing is known.
    #[must_use]
    pub fn anonymous() -> Self {
        Part::Anonymous.into()
    }

    /// A key that is a secret, such as an API key: it is shown nowhere, and leaves the process only as a digest.
    #[must_use]
    pub fn secret(secret: impl Into<Part>) -> Self {
        Self(Parts::Secret(secret.into()))
    }

    /// The parts, in order; nothing of a secret key.
    #[must_use]
    pub fn parts(&self) -> Option<&[Part]> {
        (!self.is_secret()).then(|| self.all_parts())
    }

    /// Bytes that no other key has, for a digest. Those of a secret key must not be stored or sent as they are.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_to(|piece| bytes.extend_from_slice(piece));
        bytes
    }

    /// Hands the bytes of [`to_bytes`](Self::to_bytes) to `write`, piece by piece and without an allocation.
    #[inline]
    pub fn write_to(&self, mut write: impl FnMut(&[u8])) {
        write(&[self.is_secret().into()]);
        for part in self.all_parts() {
            part.write_to(&mut write);
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

    /// Whether the key must not be shown or stored in the clear.
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

/// Several parts make one key.
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

/// The parts, with `/` between them; of a secret key nothing.
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
    use std::{collections::HashSet, net::Ipv4Addr};

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
        ];
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
    fn what_is_written_is_the_same_on_every_machine() {
        let key = Key::from(("ab", 258, Ipv4Addr::new(203, 0, 113, 7), Part::Anonymous));
        let text = b"\x04\x02\0\0\0\0\0\0\0ab";
        let number = b"\x03\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(key.to_bytes(), [&b"\0"[..], text, number, b"\x01\xcb\0\x71\x07", b"\0"].concat());
        assert_eq!(Key::secret("ab").to_bytes(), [&b"\x01"[..], text].concat());
    }

    #[test]
    fn a_secret_is_not_shown() {
        let shown = format!("{:?} {:?}", Key::secret("hunter2"), crate::Client::secret("hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(Key::secret("hunter2").parts(), None);
    }

    #[test]
    fn a_client_takes_forty_bytes() {
        assert_eq!([size_of::<Key>(), size_of::<crate::Client>()], [40, 40]);
    }

    #[test]
    fn a_key_shows_its_parts() {
        assert_eq!(format!("{:?}", Key::from(("user", 42_u64))), "\"user\"/42");
    }
}
