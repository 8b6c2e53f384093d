//! IPv6 addresses: the networks that they count by, and the IPv4 addresses in them.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use thiserror::Error;

use super::{Client, Part};

impl Client {
    /// Reduces each IPv6 address in the key to its first `bits` bits, 0 to 128. IPv4 addresses do not change.
    ///
    /// An address that embeds an IPv4 address in a well-known form becomes that IPv4 address: mapped (`::ffff:0:0/96`),
    /// compatible (`::/96`), translated (`::ffff:0:0:0/96`), NAT64 (`64:ff9b::/96`) and 6to4 (`2002::/16`).
    ///
    /// A customer usually has a network of 64 bits, and could use another address of it for each request.
    #[inline]
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

/// A prefix of IPv6 addresses that a translator (NAT64) makes from IPv4 addresses, by
/// [RFC 6052](https://www.rfc-editor.org/rfc/rfc6052).
///
/// Its length is 32, 40, 48, 56, 64 or 96 bits.
///
/// ```
/// use traffik::client::Nat64Prefix;
///
/// let prefix: Nat64Prefix = "64:ff9b:1::/48".parse()?;
/// let address = "64:ff9b:1:cb00:71:700::".parse().unwrap();
/// assert_eq!(prefix.embedded_in(address), Some([203, 0, 113, 7].into()));
/// # Ok::<(), traffik::client::Nat64PrefixError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat64Prefix {
    network: u128,
    length: u32,
}

/// The error for a text that is not the prefix of a translator.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the NAT64 prefix {0:?} is not an IPv6 network of 32, 40, 48, 56, 64 or 96 bits whose other bits are 0: write it as \
     \"64:ff9b:1::/96\""
)]
pub struct Nat64PrefixError(Box<str>);

/// `64:ff9b::/96`, the well-known prefix.
const WELL_KNOWN: Nat64Prefix = Nat64Prefix { network: 0x64_ff9b << 96, length: 96 };

impl Nat64Prefix {
    /// Returns the IPv4 address in an address of this prefix.
    ///
    /// Returns `None` for other addresses, and if the bits 64 to 71 are not 0, as they are in all such addresses.
    #[must_use]
    pub fn embedded_in(&self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        let bits = address.to_bits();
        let is_of_it = (bits ^ self.network).checked_shr(128 - self.length) == Some(0);
        let has_reserved = self.length < 96 && address.octets().get(8) != Some(&0);
        if !is_of_it || has_reserved {
            return None;
        }
        let v4 = match self.length {
            96 => bits,
            // The address goes on after the eight reserved bits.
            length => ((bits >> 64 << 56) | (bits & (u128::MAX >> 72))) >> (88 - length),
        };
        Some(Ipv4Addr::from_bits(u32::try_from(v4 & u128::from(u32::MAX)).unwrap_or_default()))
    }
}

impl FromStr for Nat64Prefix {
    type Err = Nat64PrefixError;

    fn from_str(text: &str) -> Result<Self, Nat64PrefixError> {
        let prefix = || {
            let (address, length) = text.trim().split_once('/')?;
            let network = address.parse::<Ipv6Addr>().ok()?.to_bits();
            let length = length.parse().ok().filter(|length| matches!(length, 32 | 40 | 48 | 56 | 64 | 96))?;
            let has_reserved = length == 96 && network >> 56 & 0xff != 0;
            (network << length == 0 && !has_reserved).then_some(Self { network, length })
        };
        prefix().ok_or_else(|| Nat64PrefixError(text.into()))
    }
}

/// Writes it as it is parsed: `64:ff9b:1::/48`.
impl fmt::Display for Nat64Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv6Addr::from_bits(self.network), self.length)
    }
}

impl Client {
    /// Replaces each IPv6 address in the key that a translator of these prefixes made by the IPv4 address in it. The
    /// longest prefix counts.
    ///
    /// The well-known forms need no prefix: see [`by_ipv6_network`](Self::by_ipv6_network).
    #[must_use]
    pub fn by_nat64(mut self, prefixes: &[Nat64Prefix]) -> Self {
        let parts = self.0.iter_mut().flat_map(super::Key::parts_mut);
        for part in parts {
            let Part::Address(address) = part else { continue };
            let IpAddr::V6(v6) = *address else { continue };
            let embedded = prefixes.iter().filter_map(|prefix| Some((prefix.length, prefix.embedded_in(v6)?)));
            if let Some((_, v4)) = embedded.max_by_key(|(length, _)| *length) {
                *address = v4.into();
            }
        }
        self
    }
}

/// Returns the IPv4 address in an address of a well-known form: mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`),
/// translated (`::ffff:0:a.b.c.d`), NAT64 (`64:ff9b::a.b.c.d`) and 6to4 (`2002:aabb:ccdd::`).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let low = || {
        let [.., a, b, c, d] = address.octets();
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        // `::` and `::1` are no IPv4 addresses, nor is anything else of 0.0.0.0/8.
        [0, 0, 0, 0, 0, 0, high, _] if high >= 0x100 => Some(low()),
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Some(low()),
        [0x2002, high, rest, ..] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(rest))),
        _ => WELL_KNOWN.embedded_in(address),
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

    fn found(prefix: &str, address: &str) -> String {
        let prefix: Nat64Prefix = prefix.parse().unwrap();
        prefix.embedded_in(address.parse().unwrap()).map_or_else(|| "none".to_owned(), |v4| v4.to_string())
    }

    /// The table of RFC 6052, section 2.4.
    #[test]
    fn address_is_found_behind_prefixes_of_every_length() {
        for (prefix, address) in [
            ("2001:db8::/32", "2001:db8:c000:221::"),
            ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
            ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
            ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
        ] {
            assert_eq!(found(prefix, address), "192.0.2.33", "{prefix}");
            assert_eq!(found(prefix, "2001:db9::1"), "none", "{prefix}");
            assert_eq!(prefix.parse::<Nat64Prefix>().unwrap().to_string(), prefix);
        }
        assert_eq!(found("2001:db8:122::/48", "2001:db8:122:c000:102:2100::"), "none", "the reserved bits are set");
    }

    #[test]
    fn other_texts_are_errors_that_show_them() {
        for text in ["", "64:ff9b::", "64:ff9b::/95", "64:ff9b::1/96", "64:ff9b:1::/47", "10.0.0.0/8", "::/129", "::/x"]
        {
            let error = text.parse::<Nat64Prefix>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
        assert!("64:ff9b:0:0:100::/96".parse::<Nat64Prefix>().is_err(), "the reserved bits are set");
    }

    #[test]
    fn longest_prefix_counts() {
        let prefixes = ["2001:db8::/32", "2001:db8::/96"].map(|prefix| prefix.parse().unwrap());
        let address: IpAddr = "2001:db8::203.0.113.7".parse().unwrap();
        assert_eq!(
            Client::from(("a", address)).by_nat64(&prefixes),
            Client::from(("a", Ipv4Addr::new(203, 0, 113, 7)))
        );
    }
}
