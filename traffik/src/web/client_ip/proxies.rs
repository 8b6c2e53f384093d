//! Which addresses are those of proxies.

use std::{fmt, net::IpAddr, sync::Arc};

use ipnet::{IpNet, Ipv4Net};

use super::address;
use crate::limit::ConfigError;

/// The proxies that are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proxies {
    networks: Arc<[IpNet]>,
    /// Whether a peer that has no address is one.
    without_address: bool,
    /// How many of them a request comes through at most.
    pub(super) max_hops: u8,
}

impl Proxies {
    pub(super) fn at(networks: impl IntoIterator<Item: fmt::Display>) -> Result<Self, ConfigError> {
        let networks: Result<_, _> = networks.into_iter().map(|network| parse(&network.to_string())).collect();
        networks.map(Self::new)
    }

    pub(super) fn everywhere() -> Self {
        Self::new([IpNet::V4(ipnet::Ipv4Net::default()), IpNet::V6(ipnet::Ipv6Net::default())].into())
    }

    pub(super) fn without_address() -> Self {
        Self { without_address: true, ..Self::new(Arc::new([])) }
    }

    fn new(networks: Arc<[IpNet]>) -> Self {
        Self { networks, without_address: false, max_hops: u8::MAX }
    }

    /// Whether the peer is one of them.
    pub(super) fn has_peer(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(peer) => self.has(0, peer),
            None => self.without_address && self.max_hops > 0,
        }
    }

    /// Whether `address`, which so many of them stand before, is one of them as well.
    pub(super) fn has(&self, before: usize, address: IpAddr) -> bool {
        before < usize::from(self.max_hops) && self.networks.iter().any(|network| network.contains(&address))
    }

    /// Whether everybody is one of them, without end.
    pub(super) fn are_everybody(&self) -> bool {
        self.max_hops == u8::MAX && self.networks.iter().any(|network| network.prefix_len() == 0)
    }
}

/// The network, or the one address: IPv4, if it is mapped into IPv6, as are the addresses that it is compared with.
fn parse(text: &str) -> Result<IpNet, ConfigError> {
    let text = text.trim();
    let network = text.parse().ok().or_else(|| address::bare(text).map(IpNet::from));
    match network {
        Some(network) => Ok(canonical(network)),
        None => Err(ConfigError::TrustedProxy { proxy: text.into() }),
    }
}

fn canonical(network: IpNet) -> IpNet {
    let mapped = || {
        let address = match network.addr() {
            IpAddr::V6(address) => address.to_ipv4_mapped()?,
            IpAddr::V4(_) => return None,
        };
        Ipv4Net::new(address, network.prefix_len().checked_sub(96)?).ok().map(IpNet::V4)
    };
    mapped().unwrap_or(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(networks: &[&str], address: &str) -> bool {
        Proxies::at(networks).unwrap().has(0, address.parse().unwrap())
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
    fn a_network_that_is_mapped_into_ipv6_is_the_ipv4_network() {
        assert!(has(&["::ffff:10.0.0.0/104"], "10.1.2.3") && !has(&["::ffff:10.0.0.0/104"], "11.0.0.0"));
        assert!(has(&["::ffff:10.0.0.1"], "10.0.0.1") && has(&["::ffff:0:0/96"], "10.0.0.1"));
        assert!(!has(&["::/0"], "10.0.0.1") && !has(&["0.0.0.0/0"], "::1"));
    }

    #[test]
    fn everybody_is_known_for_everybody() {
        let everybody = |network: &str| Proxies::at([network]).unwrap().are_everybody();
        assert!(["0.0.0.0/0", "::/0", "::ffff:0.0.0.0/96", "10.0.0.1/0"].into_iter().all(everybody));
        assert!(!["0.0.0.0/1", "::/1", "0.0.0.0", "::"].into_iter().any(everybody));
        assert!(!Proxies { max_hops: 2, ..Proxies::everywhere() }.are_everybody());
    }

    #[test]
    fn anything_else_is_an_error_that_shows_it() {
        for text in
            ["", "localhost", "10.0.0.0/33", "10.0.0/8", "10.0.0.1:80", "[::1]", "::1/129", "10.0.0.0/8,10.1.0.0/16"]
        {
            let error = Proxies::at([text]).unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")) && error.contains("10.0.0.0/8"), "{error}");
        }
    }
}
