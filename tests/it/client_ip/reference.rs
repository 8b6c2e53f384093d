//! A slow reference parser: reads from the front and tries everything that could be an entry.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use traffik::ForwardedHeader;

use super::is_proxy;

/// Returns the address that an app takes for the client.
pub(super) fn resolved(header: &ForwardedHeader, peer: IpAddr, lines: &[Vec<u8>]) -> IpAddr {
    if !is_proxy(peer) {
        return peer;
    }
    let last_of = match header {
        ForwardedHeader::Forwarded => last_element,
        ForwardedHeader::XForwardedFor => last_of_list,
        _ => return only(lines).and_then(|line| address(trimmed(line))).unwrap_or(peer),
    };
    let mut client = peer;
    for line in lines.iter().rev() {
        let mut rest = Some(line.clone());
        while let Some(line) = rest {
            let Some((Some(entry), before)) = last_of(&line) else { return client };
            (client, rest) = (entry, before);
            if !is_proxy(entry) {
                return client;
            }
        }
    }
    client
}

/// Returns the last entry, if it can be read, and the text before its comma.
type Last = Option<(Option<IpAddr>, Option<Vec<u8>>)>;

fn only(lines: &[Vec<u8>]) -> Option<&[u8]> {
    if let [only] = lines { Some(only) } else { None }
}

/// Returns each way to cut a line in two at a comma, the last comma first, and then the whole line.
fn cuts(line: &[u8]) -> impl Iterator<Item = (Option<&[u8]>, &[u8])> {
    let at_a_comma = (0..line.len()).rev().filter_map(|at| match line.split_at(at) {
        (before, [b',', entry @ ..]) => Some((Some(before), entry)),
        _ => None,
    });
    at_a_comma.chain([(None, line)])
}

fn last_of_list(line: &[u8]) -> Last {
    cuts(line).next().map(|(before, entry)| (address(trimmed(entry)), before.map(<[u8]>::to_vec)))
}

/// Returns the shortest end of a line that is an element.
fn last_element(line: &[u8]) -> Last {
    cuts(line).find_map(|(before, entry)| Some((address(&element(entry)?), before.map(<[u8]>::to_vec))))
}

/// Returns the `for` value of an element, or `None` if it has none.
fn element(text: &[u8]) -> Option<Vec<u8>> {
    let (mut text, mut client) = (trimmed(text), None);
    while !text.is_empty() {
        if let [b';', rest @ ..] = text {
            text = trimmed(rest);
            continue;
        }
        let (name, rest) = token(text)?;
        let (value, rest) = match rest {
            [b'=', b'"', rest @ ..] => quoted(rest)?,
            [b'=', rest @ ..] => token(rest)?,
            _ => return None,
        };
        if name.eq_ignore_ascii_case(b"for") && client.replace(value).is_some() {
            return None;
        }
        text = trimmed(rest);
        if !matches!(text.first(), None | Some(b';')) {
            return None;
        }
    }
    Some(client.unwrap_or_default())
}

fn token(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let is_of_token = |byte: &u8| byte.is_ascii_graphic() && !b"\",;=\\".contains(byte);
    let length = text.iter().take_while(|byte| is_of_token(byte)).count();
    let (token, rest) = text.split_at(length);
    (length > 0).then(|| (token.to_vec(), rest))
}

fn quoted(mut text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    loop {
        match text {
            [b'"', rest @ ..] => return Some((value, rest)),
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] => {
                if text == b"\\" {
                    return None;
                }
                value.push(*byte);
                text = rest;
            }
            [] => return None,
        }
    }
}

/// Parses with the standard library, which knows ports and numbered zones. No proxy writes more than 128 bytes.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= 128)?;
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-~".contains(&b));
    let text = match text.rsplit_once(":_") {
        // Only an address in brackets or of IPv4 has a port.
        Some((address, port)) if is_name(port) && (address.ends_with(']') || !address.contains(':')) => {
            format!("{address}:1")
        }
        _ => text.to_owned(),
    };
    let (text, has_zone) = match text.split_once('%') {
        Some((address, zone)) => match zone.split_once(']') {
            Some((zone, port)) if is_name(zone) => (format!("{address}]{port}"), true),
            None if is_name(zone) && !address.contains('[') => (address.to_owned(), true),
            _ => return None,
        },
        None => (text, false),
    };
    let bare = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || format!("{text}:1").parse::<SocketAddrV6>().ok().map(|address| IpAddr::V6(*address.ip()));
    let address = bare.or_else(with_port).or_else(bracketed)?;
    (address.is_ipv6() || !has_zone).then(|| address.to_canonical())
}

fn trimmed(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}
