//! Parses addresses as proxies write them, networks, and the list `X-Forwarded-For`.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

/// The maximum length of an address with brackets, a zone and a port.
pub(super) const LONGEST: usize = 128;

/// Parses an address such as `192.0.2.7`, `192.0.2.7:80`, `2001:db8::1`, `[2001:db8::1]:80` or `fe80::1%eth0`. Returns
/// it without port and zone, and as IPv4 if it is mapped into IPv6.
pub(super) fn parse(text: &[u8]) -> Option<IpAddr> {
    if text.len() > LONGEST {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let (address, port) = match (text.strip_prefix('['), text.split_once(':')) {
        (Some(bracketed), _) => match bracketed.split_once(']')? {
            (address, "") => (v6(address)?.into(), None),
            (address, port) => (v6(address)?.into(), Some(port.strip_prefix(':')?)),
        },
        (None, Some((address, port))) if !port.contains(':') => (IpAddr::V4(address.parse().ok()?), Some(port)),
        (None, _) => (bare(text)?, None),
    };
    port.is_none_or(is_port).then(|| address.to_canonical())
}

/// Parses an address and a port after the last colon, such as `192.0.2.7:80` or `2001:db8::1:80`. Brackets are allowed.
pub(super) fn parse_with_port(text: &[u8]) -> Option<IpAddr> {
    if text.len() > LONGEST {
        return None;
    }
    let (address, port) = std::str::from_utf8(text).ok()?.rsplit_once(':')?;
    let address = address.strip_prefix('[').and_then(|bracketed| bracketed.strip_suffix(']')).unwrap_or(address);
    is_port(port).then(|| bare(address))?.map(|address| address.to_canonical())
}

/// Parses an address without port and brackets.
fn bare(text: &str) -> Option<IpAddr> {
    if text.contains(':') { v6(text).map(IpAddr::V6) } else { text.parse().map(IpAddr::V4).ok() }
}

/// Parses a network or an address. If it is mapped into IPv6 it becomes IPv4, like the addresses that are compared with
/// it.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse().ok().or_else(|| bare(text).map(IpNet::from)).map(canonical)
}

fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let prefix = |address| Ipv4Net::new(address, v6.prefix_len().checked_sub(96)?).ok();
    v6.addr().to_ipv4_mapped().and_then(prefix).map_or(network, IpNet::V4)
}

/// Parses an IPv6 address and drops its zone, which names an interface of one machine and is no part of the address.
fn v6(text: &str) -> Option<Ipv6Addr> {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    zone.is_none_or(is_name).then(|| address.parse().ok())?
}

/// Checks for a port: a number, or the obfuscated form of RFC 7239.
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(name) => is_name(name),
        None => text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok(),
    }
}

fn is_name(text: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'~');
    !text.is_empty() && text.bytes().all(is_of_name)
}

/// Splits off the last entry of a line. Returns its address, if it is one, and the rest of the line, if there is any.
///
/// Reads no more of the line than the longest address has, however long the line is.
pub(super) fn split_last(line: &[u8]) -> (Option<IpAddr>, Option<&[u8]>) {
    let (far, near) = line.split_at(line.len().saturating_sub(LONGEST));
    match near.iter().rposition(|byte| *byte == b',') {
        Some(comma) => {
            let entry = near.get(comma + 1..).and_then(|entry| parse(entry.trim_ascii()));
            (entry, line.get(..far.len() + comma))
        }
        None if far.is_empty() => (parse(near.trim_ascii()), None),
        None => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: impl AsRef<[u8]>) -> String {
        parse(text.as_ref()).map_or_else(|| "none".to_owned(), |address| address.to_string())
    }

    #[test]
    fn addresses_are_read_however_proxies_write_them() {
        for text in ["192.0.2.7", "192.0.2.7:0", "192.0.2.7:65535", "192.0.2.7:_port"] {
            assert_eq!(parsed(text), "192.0.2.7", "{text}");
        }
        for text in ["2001:db8::1", "2001:0DB8:0:0::1", "[2001:db8::1]", "[2001:db8::1]:80", "[2001:db8::1]:_a.b-c"] {
            assert_eq!(parsed(text), "2001:db8::1", "{text}");
        }
        for text in ["::ffff:192.0.2.7", "::ffff:c000:207", "[::ffff:192.0.2.7]", "[::ffff:192.0.2.7]:80"] {
            assert_eq!(parsed(text), "192.0.2.7", "{text}");
        }
        for text in ["fe80::1%eth0", "fe80::1%25eth0", "[fe80::1%eth0.1]", "[fe80::1%3]:80"] {
            assert_eq!(parsed(text), "fe80::1", "{text}");
        }
        assert_eq!(parsed("2001:db8::1:80"), "2001:db8::1:80", "without brackets nothing is a port");
    }

    #[test]
    fn port_after_the_last_colon_is_removed() {
        let parsed = |text: &str| parse_with_port(text.as_bytes()).map(|address| address.to_string());
        for (text, address) in [
            ("198.51.100.10:46532", "198.51.100.10"),
            ("2001:db8:85a3:8d3:1319:8a2e:370:7348:46532", "2001:db8:85a3:8d3:1319:8a2e:370:7348"),
            ("2001:db8::1:46532", "2001:db8::1"),
            ("2001:db8:::46532", "2001:db8::"),
            ("[2001:db8::1]:46532", "2001:db8::1"),
            ("::ffff:198.51.100.10:46532", "198.51.100.10"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(address), "{text}");
        }
        for text in ["", "198.51.100.10", "198.51.100.10:", "198.51.100.10:65536", "2001:db8::1:x", "a:1", ":1", "[:1"]
        {
            assert_eq!(parsed(text), None, "{text}");
        }
        assert_eq!(parsed("2001:db8:85a3:8d3:1319:8a2e:370:7348"), None, "without a port it is one group too short");
    }

    #[test]
    fn anything_else_is_no_address() {
        let texts = [
            "",
            "unknown",
            "_hidden",
            "localhost",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.07",
            "0x7f.0.0.1",
            "3221225991",
            "192.0.2.7/32",
            "192.0.2.7:",
            "192.0.2.7:65536",
            "192.0.2.7:+80",
            "192.0.2.7:-1",
            "192.0.2.7:8 0",
            "192.0.2.7 ",
            " 192.0.2.7",
            "192.0.2.7%eth0",
            "192.0.2.7:_",
            ":80",
            "[192.0.2.7]",
            "[192.0.2.7]:80",
            "[]",
            "[",
            "]",
            "[::1",
            "::1]",
            "[::1]80",
            "[::1]:",
            "[::1]:x",
            "[::1]]",
            "[[::1]]",
            "fe80::1%",
            "fe80::1%e th",
            "fe80::1%a%b",
            "1::2::3",
            "::1%eth0:80",
            "\"192.0.2.7\"",
            "2001:db8::g",
            "٣.0.2.7",
            "192.0.2.7\0",
        ];
        for text in texts {
            assert_eq!(parsed(text), "none", "{text}");
        }
        assert_eq!(parsed(b"192.0.2.\xff"), "none");
        assert_eq!(parsed([b'1'; LONGEST + 1]), "none");
    }

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
