//! Keys as texts, for files, tools and stores of settings.

use std::{fmt::Write, net::IpAddr, str::FromStr};

use thiserror::Error;

use super::{Key, Part};

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
    use super::*;

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
