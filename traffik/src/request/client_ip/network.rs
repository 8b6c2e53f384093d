//! The networks of proxies.

use ipnet::{IpNet, Ipv4Net};
use thiserror::Error;

use super::address;

/// An error for a proxy that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the trusted proxy {proxy:?} is neither an address nor a network: write it as \"192.0.2.7\", \
     \"10.0.0.0/8\" or \"2001:db8::/32\", without a port or brackets, and each as a separate item"
)]
pub struct ProxyError {
    proxy: Box<str>,
}

/// Parses a network or an address. If it is mapped into IPv6 it becomes IPv4, like the addresses that are compared with
/// it.
pub(super) fn parse(text: &str) -> Result<IpNet, ProxyError> {
    read(text).ok_or_else(|| ProxyError { proxy: text.trim().into() })
}

pub(super) fn read(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse().ok().or_else(|| address::bare(text).map(IpNet::from)).map(canonical)
}

fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else { return network };
    let prefix = |address| Ipv4Net::new(address, v6.prefix_len().checked_sub(96)?).ok();
    v6.addr().to_ipv4_mapped().and_then(prefix).map_or(network, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn has(networks: &[&str], address: &str) -> bool {
        let address: IpAddr = address.parse().unwrap();
        networks.iter().any(|network| parse(network).unwrap().contains(&address))
    }

    #[test]
    fn networks_and_addresses_of_both_kinds_are_known() {
        let networks =
            ["10.0.0.0/8", "192.0.2.7", " 2001:db8::/32 ", "2001:db9::1", "fe80::1%eth0", "198.51.100.77/24"];
        for address in ["10.255.0.1", "192.0.2.7", "2001:db8:ffff::1", "2001:db9::1", "fe80::1", "198.51.100.1"] {
            assert!(has(&networks, address), "{address}");
        }
        for address in ["11.0.0.0", "192.0.2.8", "2001:db7::1", "2001:db9::2", "::", "198.51.101.1"] {
            assert!(!has(&networks, address), "{address}");
        }
    }

    #[test]
    fn network_mapped_into_ipv6_is_the_ipv4_network() {
        assert!(has(&["::ffff:10.0.0.0/104"], "10.1.2.3") && !has(&["::ffff:10.0.0.0/104"], "11.0.0.0"));
        assert!(has(&["::ffff:10.0.0.1"], "10.0.0.1") && has(&["::ffff:0:0/96"], "10.0.0.1"));
        assert!(!has(&["::/0"], "10.0.0.1") && !has(&["0.0.0.0/0"], "::1"));
    }

    #[test]
    fn anything_else_is_an_error_that_shows_it() {
        for text in
            ["", "localhost", "10.0.0.0/33", "10.0.0/8", "10.0.0.1:80", "[::1]", "::1/129", "10.0.0.0/8,10.1.0.0/16"]
        {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("10.0.0.0/8"), "{error}");
        }
    }
}
