use std::net::{IpAddr, Ipv6Addr};

use super::{Client, Part, embedded::embedded};

impl Client {
    /// Reduces each IPv6 address in the key to its first `bits` bits, 0 to 128. IPv4 addresses do not change.
    ///
    /// An address that embeds an IPv4 address in a well-known form becomes that IPv4 address: mapped (`::ffff:0:0/96`),
    /// compatible (`::/96`), translated (`::ffff:0:0:0/96`), NAT64 (`64:ff9b::/96`) and 6to4 (`2002::/16`).
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
    let IpAddr::V6(v6) = address else { return address };
    embedded(v6).map_or_else(
        || {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(ipv6_bits.into())).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        },
        IpAddr::V4,
    )
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
    fn addresses_with_an_ipv4_address_in_a_well_known_form_count_by_it() {
        for address in [
            "::ffff:203.0.113.7",
            "::203.0.113.7",
            "::ffff:0:203.0.113.7",
            "64:ff9b::203.0.113.7",
            "2002:cb00:7107::",
            "2002:cb00:7107:1:2:3:4:5",
        ] {
            assert_eq!(network(address, 64), "203.0.113.7", "{address}");
        }
        for (address, counted) in [
            ("::", "::"),
            ("::1", "::"),
            ("::0.1.2.3", "::"),
            ("::1:203.0.113.7", "::"),
            ("64:ff9b:1::203.0.113.7", "64:ff9b:1::"),
            ("64:ff9b::1:203.0.113.7", "64:ff9b::"),
            ("2001:0:53aa:64c::3480:8ef8", "2001:0:53aa:64c::"),
            ("2001:db8::5efe:203.0.113.7", "2001:db8::"),
            ("2003:cb00:7107::", "2003:cb00:7107::"),
        ] {
            assert_eq!(network(address, 64), counted, "{address}");
        }
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
