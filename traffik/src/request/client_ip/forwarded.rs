//! Parses `Forwarded` ([RFC 7239](https://www.rfc-editor.org/rfc/rfc7239)).
//!
//! The header is read backwards, because only its end is known to be written by a proxy. Read from the front, a quote
//! that a client left open would reach into entries of proxies. Split at commas, a `Host` that a proxy quotes
//! (`host="a,for=.."`) would become an entry. Read from the end, each proxy's element is the same whatever precedes it.

use std::net::IpAddr;

use smallvec::SmallVec;

use super::address;

/// The maximum length of an element. Its longest part is a host name, which has 253 bytes.
const LONGEST: usize = 1024;

/// Splits off the last element of a line. Returns the address in `for`, if there is one, and the rest of the line, if
/// there is any.
pub(super) fn split_last(line: &[u8]) -> (Option<IpAddr>, Option<&[u8]>) {
    let (far, near) = line.split_at(line.len().saturating_sub(LONGEST));
    match last_element(near) {
        Some((client, Some(before))) => (client, line.get(..far.len() + before.len())),
        Some((client, None)) if far.is_empty() => (client, None),
        _ => (None, None),
    }
}

/// Parses the last element, and returns the text before its comma. Returns `None` if it is malformed.
fn last_element(mut text: &[u8]) -> Option<(Option<IpAddr>, Option<&[u8]>)> {
    // Whether there is a `for`, and its address.
    let mut client: Option<Option<IpAddr>> = None;
    loop {
        text = text.trim_ascii_end();
        match text.split_last() {
            None => return Some((client.flatten(), None)),
            Some((b',', before)) => return Some((client.flatten(), Some(before))),
            Some((b';', before)) => text = before,
            Some(_) => {
                let (before, name, value) = last_pair(text)?;
                if name.eq_ignore_ascii_case(b"for") && client.replace(address(value)).is_some() {
                    return None;
                }
                text = before;
            }
        }
    }
}

/// Splits off `name=value`, which is at the start of the element or after `;`.
fn last_pair(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (before, value) = match text.strip_suffix(b"\"") {
        Some(quoted) => last_quoted(quoted)?,
        None => last_token(text)?,
    };
    let (before, name) = last_token(before.strip_suffix(b"=")?)?;
    matches!(before.trim_ascii_end().last(), None | Some(b';' | b',')).then_some((before, name, value))
}

/// Splits off a quoted text without its last quote, at the previous quote that no backslash escapes.
fn last_quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let escapes = |text: &[u8]| text.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
    let mut before = text;
    loop {
        let quote = before.iter().rposition(|byte| *byte == b'"')?;
        before = before.get(..quote)?;
        if !escapes(before) {
            return (!escapes(text)).then_some((before, text.get(quote + 1..)?));
        }
    }
}

fn last_token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = text.iter().rposition(|byte| !is_of_token(*byte)).map_or(0, |before| before + 1);
    text.split_at_checked(start).filter(|(_, token)| !token.is_empty())
}

/// Parses the address in a value. A value without quotes has no backslash.
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

/// Allows more than the RFC does without quotes: proxies write `for=[2001:db8::1]:80`, which is unambiguous.
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
    fn examples_of_the_rfc_are_read() {
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
    fn malformed_element_is_no_address_and_ends_the_line() {
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
    fn text_of_a_client_changes_no_later_element() {
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
    fn element_that_is_too_long_ends_the_line() {
        let long = format!("for=192.0.2.2,x={},for=192.0.2.1", "x".repeat(1_000_000));
        assert_eq!(all(&long), ["192.0.2.1", "none"]);
        let long = format!("for=192.0.2.2,for=\"{}\",for=192.0.2.1", "\\1".repeat(400));
        assert_eq!(all(&long), ["192.0.2.1", "none", "192.0.2.2"]);
    }
}
