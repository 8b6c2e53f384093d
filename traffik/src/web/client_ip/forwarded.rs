//! `Forwarded`, as [RFC 7239](https://www.rfc-editor.org/rfc/rfc7239) has it.
//!
//! It is read backwards, since only its end is known to be written by a proxy. Read from the front a quote that a client
//! left open would reach into what proxies wrote after it; split at commas, a `Host` that a proxy quotes (`host="a,for=.."`)
//! would be an entry. From the end neither is: each proxy's own element reads the same whatever stands before it.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::address;

/// An element that is longer is none: its longest part is the name of a host, which has 253 bytes.
const LONGEST: usize = 1024;

/// Takes the last element off a line: the address that it says it forwards for, if it says one, and what is left of it, if
/// it is not the first.
pub(super) fn split_last(line: &[u8]) -> (Option<IpAddr>, Option<&[u8]>) {
    let (far, near) = line.split_at(line.len().saturating_sub(LONGEST));
    let mut element = Backwards(near);
    match element.read() {
        Some((address, End::Comma)) => (address, line.get(..far.len() + element.0.len())),
        Some((address, End::Line)) if far.is_empty() => (address, None),
        _ => (None, None),
    }
}

/// What is not read yet of a text that is read backwards.
struct Backwards<'a>(&'a [u8]);

/// What an element begins after.
enum End {
    Comma,
    Line,
}

impl<'a> Backwards<'a> {
    /// Reads an element, and the comma before it: nothing, if it is malformed.
    fn read(&mut self) -> Option<(Option<IpAddr>, End)> {
        // Whether it says for whom, and what of that is an address.
        let mut client: Option<Option<IpAddr>> = None;
        loop {
            self.skip_space();
            let end = match self.0.split_last() {
                Some((b';', rest)) => {
                    self.0 = rest;
                    continue;
                }
                Some((b',', rest)) => {
                    self.0 = rest;
                    End::Comma
                }
                None => End::Line,
                Some(_) => {
                    let (name, value) = self.pair()?;
                    if name.eq_ignore_ascii_case(b"for") && client.replace(address(value)).is_some() {
                        return None;
                    }
                    continue;
                }
            };
            return Some((client.flatten(), end));
        }
    }

    /// Reads `name=value`, with nothing but the end of the element or `;` before it.
    fn pair(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let value = match self.0.strip_suffix(b"\"") {
            Some(rest) => {
                self.0 = rest;
                self.quoted()?
            }
            None => self.token()?,
        };
        self.0 = self.0.strip_suffix(b"=")?;
        let name = self.token()?;
        self.skip_space();
        matches!(self.0.last(), None | Some(b';' | b',')).then_some((name, value))
    }

    /// Reads a quoted text up to the quote before it: one that no backslash escapes.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        let mut end = self.0.len();
        loop {
            let quote = self.0.get(..end)?.iter().rposition(|byte| *byte == b'"')?;
            let (before, text) = (self.0.get(..quote)?, self.0.get(quote + 1..)?);
            let backslashes = trailing_backslashes(before);
            if backslashes % 2 == 0 {
                self.0 = before;
                return (trailing_backslashes(text) % 2 == 0).then_some(text);
            }
            end = quote - backslashes;
        }
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        let start = self.0.iter().rposition(|byte| !is_of_token(*byte)).map_or(0, |before| before + 1);
        let (rest, token) = self.0.split_at_checked(start)?;
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    fn skip_space(&mut self) {
        self.0 = self.0.trim_ascii_end();
    }
}

/// The address that a value is. One that is not quoted has no backslash.
fn address(value: &[u8]) -> Option<IpAddr> {
    match value {
        _ if value.len() > 2 * address::LONGEST => None,
        _ if value.contains(&b'\\') => address::parse(&unescaped(value)),
        _ => address::parse(value),
    }
}

fn unescaped(text: &[u8]) -> SmallVec<[u8; address::LONGEST]> {
    let mut bytes = text.iter();
    std::iter::from_fn(|| bytes.next().and_then(|byte| if *byte == b'\\' { bytes.next() } else { Some(byte) }))
        .copied()
        .collect()
}

fn trailing_backslashes(text: &[u8]) -> usize {
    text.iter().rev().take_while(|byte| **byte == b'\\').count()
}

/// More than the RFC lets stand without quotes: proxies write `for=[2001:db8::1]:80`, and it can be nothing else.
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'=' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(line: impl AsRef<[u8]>) -> Vec<String> {
        let (mut all, mut line) = (Vec::new(), line.as_ref());
        loop {
            let (address, rest) = split_last(line);
            all.push(address.map_or_else(|| "none".to_owned(), |address| address.to_string()));
            match rest {
                Some(rest) => line = rest,
                None => return all,
            }
        }
    }

    #[test]
    fn the_examples_of_the_rfc() {
        assert_eq!(all("for=\"_gazonk\""), ["none"]);
        assert_eq!(all("For=\"[2001:db8:cafe::17]:4711\""), ["2001:db8:cafe::17"]);
        assert_eq!(all("for=192.0.2.60;proto=http;by=203.0.113.43"), ["192.0.2.60"]);
        assert_eq!(all("for=192.0.2.43, for=198.51.100.17"), ["198.51.100.17", "192.0.2.43"]);
        assert_eq!(all("for=_hidden, for=_SEVKISEK"), ["none", "none"]);
        assert_eq!(
            all("for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown"),
            ["none", "2001:db8:cafe::17", "192.0.2.43"]
        );
        assert_eq!(all("for=\"192.0.2.43:47011\""), ["192.0.2.43"]);
    }

    #[test]
    fn elements_are_read_however_proxies_write_them() {
        for line in [
            "for=192.0.2.1",
            "FOR=192.0.2.1",
            "for=192.0.2.1:80",
            "for=\"192.0.2.1\"",
            " for=192.0.2.1\t",
            ";for=192.0.2.1;",
            "proto=https;for=192.0.2.1;;host=example.org",
            "host=\"a,for=192.0.2.9\";for=192.0.2.1",
            "for=192.0.2.1 ; proto=https",
            "for=192.0.2.1;host=\"\\\"\"",
            "for=192.0.2.1;host=\"\\\\\"",
            "for=192.0.2.1;host=\"\\\\\\\",for=192.0.2.9\"",
            "for=192.0.2.1;host=\"\"",
            "for=\"192.0.\\2.1\"",
            "for=\"::ffff:192.0.2.1\"",
            "for=[::ffff:192.0.2.1]:80",
            "for=192.0.2.1;ext=\"for=192.0.2.9;\"",
        ] {
            assert_eq!(all(line), ["192.0.2.1"], "{line}");
        }
    }

    #[test]
    fn what_is_malformed_is_no_address_and_ends_the_line() {
        for line in [
            "",
            "192.0.2.1",
            "for",
            "for=",
            "=192.0.2.1",
            "for =192.0.2.1",
            "for= 192.0.2.1",
            "for=\"192.0.2.1",
            "for=192.0.2.1\"",
            "for=\"192.0.2.1\\\"",
            "for=192.0.2.1;for=192.0.2.1",
            "for=192.0.2.1;FOR=192.0.2.2",
            "for=192.0.2.1 for=192.0.2.2",
            "for=\"192.0.2.1\"x",
            "for=a\"192.0.2.1\"",
            "proto=https",
            "f\"or\"=192.0.2.1",
            "for==192.0.2.1",
            "for=\\192.0.2.1",
            "for=\" 192.0.2.1\"",
        ] {
            assert_eq!(all(line), ["none"], "{line}");
        }
    }

    #[test]
    fn what_a_client_wrote_before_it_changes_no_element() {
        for element in ["for=192.0.2.1", "for=\"[::ffff:192.0.2.1]:80\";host=\"a\\\",for=192.0.2.9;\";proto=https"] {
            for client in
                ["", "for=\"", "for=\"\\", "x=\"a", "\"", "\\", "for=192.0.2.9;", "\",for=192.0.2.9", "\"\"\"=,;"]
            {
                for comma in [",", ", ", " ,\t"] {
                    let line = format!("{client}{comma}{element}");
                    assert_eq!(split_last(line.as_bytes()).0, Some([192, 0, 2, 1].into()), "{line}");
                }
            }
        }
    }

    #[test]
    fn what_is_too_long_ends_the_line_unread() {
        let long = format!("for=192.0.2.2,x={},for=192.0.2.1", "x".repeat(1_000_000));
        assert_eq!(all(&long), ["192.0.2.1", "none"]);
        let long = format!("for=192.0.2.2,for=\"{}\",for=192.0.2.1", "\\1".repeat(400));
        assert_eq!(all(&long), ["192.0.2.1", "none", "192.0.2.2"]);
    }
}
