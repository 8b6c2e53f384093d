//! Resolving the client behind proxies: entries of proxies are believed, entries of clients are not.

mod chains;
mod embedded;
mod random_headers;
mod reference;
mod texts;

use std::net::IpAddr;

use axum::http::{HeaderMap, HeaderValue};
use traffik::{ClientIp, ForwardedHeader};

use crate::patience::times;

/// The networks of the trusted proxies.
const PROXIES: [&str; 3] = ["10.0.0.0/8", "2001:db8:ff::/48", "192.0.2.7"];

fn is_proxy(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets().first() == Some(&10) || address.octets() == [192, 0, 2, 7],
        IpAddr::V6(address) => address.segments().starts_with(&[0x2001, 0xdb8, 0xff]),
    }
}

/// Every supported header.
fn conventions() -> [ForwardedHeader; 6] {
    let other = ForwardedHeader::Other(axum::http::HeaderName::from_static("fly-client-ip"));
    let [x_forwarded_for, x_real_ip] = [ForwardedHeader::XForwardedFor, ForwardedHeader::XRealIp];
    let [true_client_ip, cf_connecting_ip] = [ForwardedHeader::TrueClientIp, ForwardedHeader::CfConnectingIp];
    [ForwardedHeader::Forwarded, x_forwarded_for, x_real_ip, true_client_ip, cf_connecting_ip, other]
}

/// Returns the address that such an app takes for the client.
fn resolved(header: &ForwardedHeader, peer: IpAddr, lines: &[Vec<u8>]) -> Option<IpAddr> {
    let headers = headers(header, lines);
    ClientIp::behind(PROXIES).ok()?.header(header.clone()).resolve(Some(peer), &headers)
}

/// Returns the lines of a header, without those that no server accepts.
fn headers(header: &ForwardedHeader, lines: &[Vec<u8>]) -> HeaderMap {
    let values = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
    values.map(|value| (header.name().clone(), value)).collect()
}

/// The number of random cases.
fn cases() -> proptest::test_runner::Config {
    let cases = u32::try_from(times(2_000, 1_000_000)).unwrap_or(2_000);
    proptest::test_runner::Config { cases, failure_persistence: None, ..proptest::test_runner::Config::default() }
}
