//! Forwarding headers give the client that a slow parser finds. So the result is the peer or an address of the header.

#![no_main]

#[path = "../../tests/it/client_ip/reference.rs"]
mod reference;

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use traffik::{ClientIp, ForwardedHeader};

/// The trusted proxies of the reference.
fn is_proxy(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.segments().starts_with(&[0x2001, 0xdb8, 0xff]),
    }
}

fn header(number: u8) -> ForwardedHeader {
    match number % 6 {
        0 => ForwardedHeader::Forwarded,
        1 => ForwardedHeader::XForwardedFor,
        2 => ForwardedHeader::XRealIp,
        3 => ForwardedHeader::TrueClientIp,
        4 => ForwardedHeader::CfConnectingIp,
        _ => ForwardedHeader::Other(HeaderName::from_static("fly-client-ip")),
    }
}

// The first byte selects the header. The rest is its lines.
fuzz_target!(|input: &[u8]| {
    let Some((number, text)) = input.split_first() else { return };
    let header = header(*number);
    let lines: Vec<_> =
        text.split(|byte| *byte == b'\n').filter(|line| HeaderValue::from_bytes(line).is_ok()).collect();
    let mut headers = HeaderMap::new();
    for line in &lines {
        headers.append(header.name(), HeaderValue::from_bytes(line).unwrap());
    }
    let lines: Vec<_> = lines.into_iter().map(<[u8]>::to_vec).collect();

    let [proxy, stranger] = [[10, 0, 0, 1], [203, 0, 113, 1]].map(IpAddr::from);
    let behind = |client_ip: ClientIp| client_ip.header(header.clone());
    let proxies = behind(ClientIp::behind(["10.0.0.0/8", "2001:db8:ff::/48"]).unwrap());
    let found = proxies.resolve(Some(proxy), &headers);
    // Of longer lists only the last 32 entries are read, and an entry of more than 128 bytes ends a line.
    let mut entries = lines.iter().flat_map(|line| line.split(|byte| *byte == b','));
    if entries.clone().count() <= 32 && entries.all(|entry| entry.len() <= 120) {
        assert_eq!(found, Some(reference::resolved(&header, proxy, &lines)), "{headers:?}");
    }
    assert_eq!(proxies.resolve(Some(stranger), &headers), Some(stranger), "{headers:?}");
    assert_eq!(proxies.resolve(None, &headers), None, "{headers:?}");
    for hops in 0..3 {
        assert!(behind(ClientIp::behind_hops(hops)).resolve(Some(stranger), &headers).is_some(), "{headers:?}");
    }
    // One hop is the last entry, and so is a peer on a Unix socket.
    let one_hop = behind(ClientIp::behind_hops(1)).resolve(Some(proxy), &headers);
    let socket = behind(ClientIp::behind_unix_socket()).resolve(None, &headers);
    assert_eq!(one_hop, Some(socket.unwrap_or(proxy)), "{headers:?}");
});
