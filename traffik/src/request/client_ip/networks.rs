//! Networks of clients, which rules and deny lists compare addresses with.

use std::{fmt, net::IpAddr};

use axum::http::request::Parts;
use ipnet::IpNet;
use thiserror::Error;
use traffik_core::client::{Client, Nat64Prefix, Part};

use super::{ClientIp, address, peer_ip};

/// An error for a text that is neither an address nor a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{network:?} is neither an address nor a network: write it as \"192.0.2.7\", \"10.0.0.0/8\" or \"2001:db8::/32\", without \
     a port or brackets, and each as a separate item"
)]
pub struct NetworkError {
    network: Box<str>,
}

/// How an app finds the address of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientAddress<'a> {
    /// The proxies. `None` if the peer is the client.
    pub(crate) proxies: Option<&'a ClientIp>,
    /// The prefixes of translators.
    pub(crate) nat64: &'a [Nat64Prefix],
}

impl ClientAddress<'_> {
    /// Returns the address that a request comes from, if it is known.
    pub(crate) fn of(&self, parts: &Parts) -> Option<IpAddr> {
        self.proxies.map_or_else(|| peer_ip(parts), |proxies| proxies.of(parts))
    }

    /// Returns the IPv4 address in an IPv6 address of a translator or a tunnel, or else the address itself.
    fn counted(&self, address: IpAddr) -> IpAddr {
        let client = Client::from(address).by_nat64(self.nat64).by_ipv6_network(128);
        match client.key().and_then(|key| key.parts()) {
            Some([Part::Address(counted)]) => *counted,
            _ => address,
        }
    }
}

/// Networks, sorted and without overlaps, so that a long list takes a binary search.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Networks(Vec<IpNet>);

impl Networks {
    /// # Errors
    ///
    /// Returns an error for the first text that is neither an address nor a network.
    pub(crate) fn parse(networks: impl IntoIterator<Item: fmt::Display>) -> Result<Self, NetworkError> {
        let read = |text: String| address::network(&text).ok_or_else(|| NetworkError { network: text.trim().into() });
        let networks: Result<Vec<_>, _> = networks.into_iter().map(|network| read(network.to_string())).collect();
        networks.map(Self::of)
    }

    fn of(mut networks: Vec<IpNet>) -> Self {
        networks = IpNet::aggregate(&networks);
        networks.sort_unstable();
        Self(networks)
    }

    /// Adds other networks.
    pub(crate) fn add(&mut self, others: &Self) {
        if !others.is_empty() {
            *self = Self::of([&self.0[..], &others.0[..]].concat());
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns `true` if the address is in one of the networks.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let after = self.0.partition_point(|network| network.network() <= address);
        after.checked_sub(1).and_then(|last| self.0.get(last)).is_some_and(|network| network.contains(&address))
    }

    /// Does the same, and also compares the IPv4 address that an IPv6 address embeds.
    pub(crate) fn may_contain(&self, address: IpAddr, by: &ClientAddress<'_>) -> bool {
        self.contain(address) || (address.is_ipv6() && self.contain(by.counted(address)))
    }
}

/// Shows the first networks, because a list may be long.
impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        for (i, network) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{network}", if i == 0 { "" } else { ", " })?;
        }
        match self.0.len().checked_sub(SHOWN) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Networks {
        Networks::parse(texts).unwrap()
    }

    #[test]
    fn overlapping_networks_in_any_order_contain_the_addresses_of_each() {
        let networks =
            networks(&["198.51.100.7", "10.1.0.0/16", "2001:db8::/32", "10.0.0.0/8", "::1", "203.0.113.0/24"]);
        for address in ["10.0.0.0", "10.255.255.255", "198.51.100.7", "203.0.113.9", "2001:db8::9", "::1"] {
            assert!(networks.contain(address.parse().unwrap()), "{address}");
        }
        for address in ["9.255.255.255", "11.0.0.0", "198.51.100.6", "198.51.100.8", "203.0.114.0", "::", "2001:db9::"]
        {
            assert!(!networks.contain(address.parse().unwrap()), "{address}");
        }
        assert!(!Networks::default().contain([10, 0, 0, 1].into()));
    }

    #[test]
    fn every_address_is_found_in_a_long_list() {
        let texts: Vec<_> = (0..=255).flat_map(|a| (0..=15).map(move |b| format!("10.{a}.{}.0/30", b * 16))).collect();
        let networks = Networks::parse(&texts).unwrap();
        for (a, b) in (0..=255).flat_map(|a| (0..=255).map(move |b| (a, b))) {
            let expected = b % 16 == 0;
            assert_eq!(networks.contain([10, a, b, 3].into()), expected, "10.{a}.{b}.3");
            assert!(!networks.contain([10, a, b, 4].into()), "10.{a}.{b}.4");
        }
    }

    #[test]
    fn added_networks_are_contained_too() {
        let mut both = networks(&["192.0.2.0/24"]);
        both.add(&networks(&["10.0.0.0/8"]));
        assert!(both.contain([10, 1, 2, 3].into()) && both.contain([192, 0, 2, 1].into()));
        assert_eq!(format!("{both:?}"), "10.0.0.0/8, 192.0.2.0/24");
    }

    #[test]
    fn embedded_ipv4_address_may_be_contained() {
        let by = ClientAddress { proxies: None, nat64: &["2001:db8:122::/48".parse().unwrap()] };
        let networks = networks(&["203.0.113.0/24"]);
        for address in ["203.0.113.7", "64:ff9b::203.0.113.7", "2002:cb00:7107::1", "2001:db8:122:cb00:71:700::"] {
            assert!(networks.may_contain(address.parse().unwrap(), &by), "{address}");
        }
        for address in ["203.0.114.7", "64:ff9b::203.0.114.7", "2001:db8::1"] {
            assert!(!networks.may_contain(address.parse().unwrap(), &by), "{address}");
        }
    }

    #[test]
    fn other_text_is_an_error_that_shows_it() {
        let error = Networks::parse(["10.0.0.0/8", "10.0.0.0/33"]).unwrap_err().to_string();
        assert!(error.starts_with("\"10.0.0.0/33\" is neither"), "{error}");
        let many = networks(&["10.0.0.0/32", "10.0.0.2/32", "10.0.0.4/32", "10.0.0.6/32", "10.0.0.8/32"]);
        assert_eq!(format!("{many:?}"), "10.0.0.0/32, 10.0.0.2/32, 10.0.0.4/32, 10.0.0.6/32 and 1 more");
    }
}
