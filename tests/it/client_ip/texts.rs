//! Random header lines of clients and proxies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::{collection::vec, prelude::*, sample::select};

/// Any address. Addresses of proxies are as likely as others.
pub(super) fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![proxy(), client(), any::<IpAddr>().prop_map(|address| address.to_canonical())]
}

/// The address of a proxy.
pub(super) fn proxy() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 3]>().prop_map(|[a, b, c]| Ipv4Addr::new(10, a, b, c).into()),
        any::<[u16; 5]>().prop_map(|[a, b, c, d, e]| Ipv6Addr::new(0x2001, 0xdb8, 0xff, a, b, c, d, e).into()),
        Just(Ipv4Addr::new(192, 0, 2, 7).into()),
    ]
}

/// The address of a peer that is no proxy.
pub(super) fn client() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u8>().prop_map(|a| Ipv4Addr::new(203, 0, 113, a).into()),
        any::<[u16; 4]>().prop_map(|[a, b, c, d]| Ipv6Addr::new(0x2001, 0xdb8, 0, 1, a, b, c, d).into()),
    ]
}

/// The spelling of an address.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spelling {
    Plain,
    Mapped,
    Bracketed,
    WithPort,
    WithHiddenPort,
    WithZone,
}

pub(super) fn spelling() -> impl Strategy<Value = Spelling> {
    select(
        &[
            Spelling::Plain,
            Spelling::Mapped,
            Spelling::Bracketed,
            Spelling::WithPort,
            Spelling::WithHiddenPort,
            Spelling::WithZone,
        ][..],
    )
}

pub(super) fn spelt(address: IpAddr, spelling: Spelling) -> String {
    match (spelling, address) {
        (Spelling::Mapped, IpAddr::V4(v4)) => v4.to_ipv6_mapped().to_string(),
        (Spelling::Bracketed, IpAddr::V4(v4)) => format!("[{}]", v4.to_ipv6_mapped()),
        (Spelling::WithPort, IpAddr::V4(_)) => format!("{address}:50000"),
        (Spelling::WithHiddenPort, IpAddr::V4(_)) => format!("{address}:_a.b"),
        (Spelling::WithZone, IpAddr::V4(v4)) => format!("[{}%eth0]:1", v4.to_ipv6_mapped()),
        (Spelling::Bracketed, IpAddr::V6(_)) => format!("[{address}]"),
        (Spelling::WithPort, IpAddr::V6(_)) => format!("[{address}]:65535"),
        (Spelling::WithHiddenPort, IpAddr::V6(_)) => format!("[{address}]:_a"),
        (Spelling::WithZone, IpAddr::V6(_)) => format!("{address}%eth0"),
        (Spelling::Plain, _) | (Spelling::Mapped, IpAddr::V6(_)) => address.to_string(),
    }
}

/// Random pieces that have a meaning in a header.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known = select(
        &[
            "for=",
            "FOR=",
            "by=",
            "host=",
            "x=",
            "\"",
            "\"",
            "\\",
            "\\\"",
            ",",
            ",",
            ", ",
            ";",
            "=",
            " ",
            "\t",
            "[",
            "]",
            ":80",
            "%eth0",
            "unknown",
            "_hidden",
            "10.0.0.1",
            "10.0.0.2",
            "203.0.113.1",
            "[2001:db8:ff::1]",
            "2001:db8:ff::2",
            "::ffff:10.0.0.3",
            "[2001:db8::1]:80",
            "127.0.0.1",
            "é",
            "for=10.0.0.4,",
            "for=\"[2001:db8:ff::3]\",",
            "10.0.0.5, ",
        ][..],
    );
    let piece = prop_oneof![
        8 => known.prop_map(|piece| piece.as_bytes().to_vec()),
        1 => (address(), spelling()).prop_map(|(address, spelling)| spelt(address, spelling).into_bytes()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// A line that a server accepts.
pub(super) fn line() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![4 => pieces().boxed(), 1 => vec(any::<u8>(), 0..300).boxed()];
    bytes.prop_map(|line| line.into_iter().filter(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..)).collect())
}

pub(super) fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(line(), 0..4)
}
