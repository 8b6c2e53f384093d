//! `X-Forwarded-For`: addresses with commas between them.

use std::net::IpAddr;

use super::address;

/// Splits off the last entry of a line. Returns its address, if it is one, and the rest of the line, if there is any.
///
/// Reads no more of the line than the longest address has, however long the line is.
pub(super) fn split_last(line: &[u8]) -> (Option<IpAddr>, Option<&[u8]>) {
    let (far, near) = line.split_at(line.len().saturating_sub(address::LONGEST));
    match near.iter().rposition(|byte| *byte == b',') {
        Some(comma) => {
            let entry = near.get(comma + 1..).and_then(|entry| address::parse(entry.trim_ascii()));
            (entry, line.get(..far.len() + comma))
        }
        None if far.is_empty() => (address::parse(near.trim_ascii()), None),
        None => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut line: &[u8]) -> Vec<String> {
        let mut all = Vec::new();
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
    fn entries_come_from_the_right() {
        assert_eq!(all(b"192.0.2.1"), ["192.0.2.1"]);
        assert_eq!(
            all(b"192.0.2.1, 192.0.2.2,\t[2001:db8::1]:80 ,unknown"),
            ["none", "2001:db8::1", "192.0.2.2", "192.0.2.1"]
        );
        assert_eq!(all(b""), ["none"]);
        assert_eq!(all(b",192.0.2.1,"), ["none", "192.0.2.1", "none"]);
        assert_eq!(all(b"192.0.2.1 192.0.2.2"), ["none"]);
        assert_eq!(all(b"\xff\xfe, 192.0.2.1"), ["192.0.2.1", "none"]);
    }

    #[test]
    fn entry_that_is_too_long_ends_the_line() {
        let long = [&[b','; 10][..], &[b'1'; 1_000_000], b",192.0.2.1"].concat();
        assert_eq!(all(&long), ["192.0.2.1", "none"]);
    }
}
