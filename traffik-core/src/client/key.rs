use std::{
    fmt::{self, Write},
    net::IpAddr,
    slice,
    str::FromStr,
};

use thiserror::Error;

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
    fn of_parts(parts: Vec<Part>) -> Self {
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

/// A text that is not the text of a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{text:?} is not a client: write an address, a number, a text such as \"alice\", bytes such as 0x00ff, or several of them with \
     a slash between them"
)]
pub struct KeyTextError {
    text: Box<str>,
}

impl Key {
    /// Returns a text from which the key can be [parsed](Self::from_str), or `None` if the key is secret.
    ///
    /// Addresses and numbers are as usual, texts in quotes, bytes in hexadecimal, and an unknown client is `anonymous`. Several
    /// parts have a slash between them.
    ///
    /// ```
    /// use traffik::client::Key;
    ///
    /// assert_eq!(Key::from(("user", 42)).to_text().as_deref(), Some("\"user\"/42"));
    /// assert_eq!(Key::secret("sk_live_4eC39HqL").to_text(), None);
    /// ```
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        let mut text = String::new();
        for (i, part) in self.parts()?.iter().enumerate() {
            if i > 0 {
                text.push('/');
            }
            // Writing to a string does not fail.
            let _ = match part {
                Part::Anonymous => write!(text, "{ANONYMOUS}"),
                Part::Address(address) => write!(text, "{address}"),
                Part::Number(number) => write!(text, "{number}"),
                Part::Text(part) => write!(text, "\"{}\"", part.replace('\\', r"\\").replace('"', "\\\"")),
                Part::Bytes(bytes) => write!(text, "{BYTES}{bytes:?}"),
            };
        }
        Some(text)
    }
}

const ANONYMOUS: &str = "anonymous";
const BYTES: &str = "0x";

/// Parses the text of a key. A word that is neither an address nor a number is a text, also without quotes.
///
/// ```
/// use traffik::client::Key;
///
/// assert_eq!("203.0.113.7".parse(), Ok(Key::from(std::net::Ipv4Addr::new(203, 0, 113, 7))));
/// assert_eq!("user/42".parse(), Ok(Key::from(("user", 42))));
/// assert_eq!("\"42\"".parse(), Ok(Key::from("42")));
/// assert!("\"alice".parse::<Key>().is_err());
/// ```
impl FromStr for Key {
    type Err = KeyTextError;

    fn from_str(text: &str) -> Result<Self, KeyTextError> {
        parts(text).map(Self::of_parts).ok_or_else(|| KeyTextError { text: text.into() })
    }
}

fn parts(mut rest: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    loop {
        let (part, behind) = if let Some(quoted) = rest.strip_prefix('"') {
            unquoted(quoted).map(|(text, behind)| (text.into(), behind))?
        } else {
            let end = rest.find('/').unwrap_or(rest.len());
            let (word, behind) = rest.split_at(end);
            (of_word(word)?, behind)
        };
        parts.push(part);
        if behind.is_empty() {
            return Some(parts);
        }
        rest = behind.strip_prefix('/')?;
    }
}

/// Returns the text before the closing quote, and what follows.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let (mut text, mut chars) = (String::new(), quoted.chars());
    loop {
        match chars.next()? {
            '"' => return Some((text, chars.as_str())),
            '\\' => text.push(chars.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            other => text.push(other),
        }
    }
}

fn of_word(word: &str) -> Option<Part> {
    if word.is_empty() || word.contains('"') {
        return None;
    }
    if word == ANONYMOUS {
        return Some(Part::Anonymous);
    }
    if let Some(digits) = word.strip_prefix(BYTES) {
        return bytes(digits);
    }
    let address = word.parse::<IpAddr>().ok().map(Part::from);
    let number = || word.parse::<i128>().ok().map(Part::from);
    let large = || word.parse::<u128>().ok().map(Part::from);
    Some(address.or_else(number).or_else(large).unwrap_or_else(|| word.into()))
}

fn bytes(digits: &str) -> Option<Part> {
    let byte = |pair: &[u8]| {
        let [high, low] = pair else { return None };
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        Some(digit(high)? << 4 | digit(low)?)
    };
    let bytes: Vec<u8> = digits.as_bytes().chunks(2).map(byte).collect::<Option<_>>()?;
    Some(Part::Bytes(bytes.as_slice().into()))
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

    #[test]
    fn parsed_text_of_a_key_is_the_key() {
        let keys = [
            Key::from("alice"),
            Key::from("42"),
            Key::from(""),
            Key::from("anonymous"),
            Key::from("a/b\"c\\d\nü"),
            Key::from(42),
            Key::from(-42),
            Key::from(u128::MAX),
            Key::from([0_u8, 255]),
            Key::from([0_u8; 0]),
            Key::from(std::net::Ipv4Addr::LOCALHOST),
            Key::from(std::net::Ipv6Addr::LOCALHOST),
            Key::from(("user", 42, std::net::Ipv6Addr::UNSPECIFIED, [7_u8; 20])),
            Key::from((Part::Anonymous, "x")),
            Key::anonymous(),
        ];
        for key in keys {
            let text = key.to_text().unwrap();
            assert_eq!(text.parse(), Ok(key), "{text}");
        }
    }

    #[test]
    fn text_of_no_key_is_an_error_that_shows_the_forms() {
        for text in ["", "/", "a/", "/a", "a//b", "\"a", "\"a\"b", "a\"b", "\"\\n\"", "0x0", "0xgg", "0x+1"] {
            let error = text.parse::<Key>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} is not a client: write an address")), "{error}");
        }
    }
}
