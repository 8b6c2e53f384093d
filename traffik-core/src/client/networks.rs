use std::net::{IpAddr, Ipv6Addr};

use super::{Client, Part};

impl Client {
    /// Reduces each IPv6 address in the key to its first `bits` bits, 0 to 128. IPv4 addresses do not change.
    ///
    /// A customer usually has a network of 64 bits, and could use another address of it for each request.
    #[must_use]
    pub fn by_ipv6_network(mut self, bits: u8) -> Self {
        if let Some(key) = &mut self.0 {
            for part in key.parts_mut() {
                if let Part::Address(address @ IpAddr::V6(_)) = part {
                    *address = network(*address, bits);
                }
            }
        }
        self
    }
}

fn network(address: IpAddr, ipv6_bits: u8) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(ipv6_bits.into())).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, bits: u8) -> String {
        super::network(address.parse().unwrap(), bits).to_string()
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
        let counted = |client: Client| client.by_ipv6_network(64);
        assert_eq!(counted(("signup", address).into()), Client::from(("signup", network)));
        assert_eq!(counted(Client::secret("key")), Client::secret("key"));
        assert_eq!(counted(crate::EXEMPTED), crate::EXEMPTED);
    }
}
