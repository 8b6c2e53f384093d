//! Checks that resolving a client behind proxies allocates nothing, whatever the header contains.

use std::net::IpAddr;

use allocation_counter::measure;
use axum::http::{HeaderMap, HeaderValue};
use traffik::{ClientIp, ForwardedHeader};

#[test]
fn client_behind_proxies_is_resolved_without_allocating() {
    let peer = IpAddr::from([10, 0, 0, 1]);
    let long = format!("for=\"{}\"", "\\x".repeat(100_000));
    for header in [ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded, ForwardedHeader::XRealIp] {
        let client_ip = ClientIp::behind(["10.0.0.0/8"]).unwrap().header(header.clone());
        for value in [
            "203.0.113.7",
            "198.51.100.1, [2001:db8::1%eth0]:80, 10.0.0.2",
            "for=203.0.113.7;host=\"example.org\";proto=https",
            "for=\"\\[2001:db8::\\1]:80\", for=10.0.0.2",
            "unknown",
            "",
            &long,
        ] {
            let headers = HeaderMap::from_iter([(header.name().clone(), HeaderValue::from_str(value).unwrap())]);
            let counted = measure(|| assert!(client_ip.resolve(Some(peer), &headers).is_some()));
            assert_eq!(counted.count_total, 0, "{header:?}: {}", value.get(..60).unwrap_or(value));
        }
    }
}
