//! IPv4 addresses in IPv6 addresses: clients count by them.
#![expect(clippy::indexing_slicing, reason = "the lengths are constants")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::{prelude::*, sample::select};
use traffik::{Client, client::Nat64Prefix};

/// Embeds an address as RFC 6052 says, byte by byte: the address goes around byte 8, which is 0.
fn embed(prefix: [u8; 16], length: u8, v4: Ipv4Addr, suffix: [u8; 16]) -> Ipv6Addr {
    let start = usize::from(length / 8);
    let mut bytes = suffix;
    bytes[..start].copy_from_slice(&prefix[..start]);
    let places = (start..16).filter(|place| *place != 8 || length == 96);
    for (place, byte) in places.zip(v4.octets()) {
        bytes[place] = byte;
    }
    if length < 96 {
        bytes[8] = 0;
    }
    bytes.into()
}

fn counted(address: Ipv6Addr, prefixes: &[Nat64Prefix]) -> Client {
    Client::from(address).by_nat64(prefixes).by_ipv6_network(64)
}

fn masked(address: Ipv6Addr) -> Client {
    Client::from(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
}

proptest! {
    #![proptest_config(super::cases())]

    #[test]
    fn client_of_a_translator_counts_by_the_ipv4_address(
        rest in any::<[u8; 12]>(),
        length in select(&[32_u8, 40, 48, 56, 64, 96][..]),
        v4 in any::<[u8; 4]>(),
        suffix in any::<[u8; 16]>(),
    ) {
        let mut prefix = [0; 16];
        prefix[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        prefix[4..usize::from(length / 8)].copy_from_slice(&rest[..usize::from(length / 8) - 4]);
        prefix[8] = 0;
        let address = embed(prefix, length, v4.into(), suffix);
        let text = format!("{}/{length}", Ipv6Addr::from(prefix));
        let prefixes = [text.parse().unwrap()];

        prop_assert_eq!(counted(address, &prefixes), Client::from(Ipv4Addr::from(v4)), "{} behind {}", address, text);
        prop_assert_eq!(counted(address, &[]), masked(address));
    }

    #[test]
    fn client_with_a_well_known_form_counts_by_the_ipv4_address(v4 in any::<[u8; 4]>(), suffix in any::<[u8; 10]>()) {
        let v4 = Ipv4Addr::from(v4);
        let [a, b, c, d] = v4.octets().map(u16::from);
        let low = [a << 8 | b, c << 8 | d];
        let [high, rest] = low;
        let six_to_four = {
            let mut bytes = [0; 16];
            bytes[..2].copy_from_slice(&[0x20, 0x02]);
            bytes[2..6].copy_from_slice(&v4.octets());
            bytes[6..].copy_from_slice(&suffix);
            Ipv6Addr::from(bytes)
        };
        for address in [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, rest),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, rest),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, rest),
            six_to_four,
        ] {
            prop_assert_eq!(counted(address, &[]), Client::from(v4), "{}", address);
        }
        let compatible = Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, rest);
        let expected = if a == 0 { masked(compatible) } else { Client::from(v4) };
        prop_assert_eq!(counted(compatible, &[]), expected, "{}", compatible);
    }

    /// Teredo has the address of a relay, and in ISATAP a host writes the address itself.
    #[test]
    fn client_without_such_a_form_counts_by_its_network(bits in any::<u128>(), v4 in any::<u32>()) {
        let global = bits >> 3 | 1 << 125;
        let address = Ipv6Addr::from_bits(global);
        let teredo = Ipv6Addr::from_bits((0x2001_0000_u128 << 96) | (bits >> 32));
        let isatap = Ipv6Addr::from_bits((global >> 64 << 64) | (0x5efe << 32) | u128::from(v4));
        for address in [address, teredo, isatap] {
            if address.segments()[0] != 0x2002 {
                prop_assert_eq!(counted(address, &[]), masked(address), "{}", address);
            }
        }
    }

    #[test]
    fn ipv4_addresses_and_other_parts_of_a_key_do_not_change(v4 in any::<[u8; 4]>()) {
        let key = Client::from(("64:ff9b::1.2.3.4", IpAddr::from(v4)));
        prop_assert_eq!(key.clone().by_nat64(&["64:ff9b:1::/48".parse().unwrap()]).by_ipv6_network(64), key);
    }
}
