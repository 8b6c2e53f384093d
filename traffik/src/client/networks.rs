use std::net::{IpAddr, Ipv6Addr};

use super::{Client, Key, Part};

/// By how much of an address a client is counted, wherever the address comes from: IPv4 addresses whole, and IPv6 ones by
/// the network that a customer has to himself, who could otherwise use an address of it for each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Networks {
    ipv6_prefix: u8,
}

impl Networks {
    pub(crate) fn with_ipv6_prefix(bits: u8) -> Self {
        Self { ipv6_prefix: bits.min(128) }
    }

    /// The client, with each address in its key cut to the network that it is counted by.
    pub(crate) fn counted_as(self, mut client: Client) -> Client {
        for part in client.0.iter_mut().flat_map(|Key { parts, .. }| parts) {
            if let Part::Address(address) = part {
                *address = self.network(*address);
            }
        }
        client
    }

    fn network(self, address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.ipv6_prefix)).unwrap_or(0);
                Ipv6Addr::from_bits(v6.to_bits() & mask).into()
            }
            v4 @ IpAddr::V4(_) => v4,
        }
    }
}

impl Default for Networks {
    fn default() -> Self {
        Self { ipv6_prefix: 64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, ipv6_prefix: u8) -> String {
        Networks::with_ipv6_prefix(ipv6_prefix).network(address.parse().unwrap()).to_string()
    }

    #[test]
    fn ipv6_counts_by_network_and_ipv4_whole() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6", 64), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:2:3:4:5:6", 56), "2001:db8:1::");
        assert_eq!(network("2001:db8:1:2:3:4:5:6", 128), "2001:db8:1:2:3:4:5:6");
        assert_eq!(network("2001:db8:1:2:3:4:5:6", 255), "2001:db8:1:2:3:4:5:6");
        assert_eq!(network("2001:db8:1:2:3:4:5:6", 0), "::");
        assert_eq!(network("203.0.113.7", 8), "203.0.113.7");
        assert_eq!(network("::ffff:203.0.113.7", 8), "203.0.113.7");
    }

    #[test]
    fn addresses_in_a_key_of_several_parts_are_cut_too() {
        let address: IpAddr = "2001:db8:1:2:3:4:5:6".parse().unwrap();
        let network: IpAddr = "2001:db8:1:2::".parse().unwrap();
        let counted = |client: Client| Networks::default().counted_as(client);
        assert_eq!(counted(("signup", address).into()), Client::from(("signup", network)));
        assert_eq!(counted(Client::secret("key")), Client::secret("key"));
        assert_eq!(counted(crate::EXEMPTED), crate::EXEMPTED);
    }
}
