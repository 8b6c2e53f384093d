//! A flood of requests from ever new addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tests::limit;
use traffik::{
    Rate,
    client::Key,
    decision::Hit,
    strategy::{AnyStrategy, FixedWindow},
};

use super::{admits, store_of, strategies};
use crate::patience::times;

/// Returns a different address for each number, IPv4 or IPv6.
fn address(number: u64) -> IpAddr {
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    if number.is_multiple_of(2) {
        Ipv4Addr::from_bits(u32::try_from(number / 2).unwrap_or(u32::MAX).wrapping_mul(0x9E37_79B1)).into()
    } else {
        Ipv6Addr::from_bits(u128::from(spread) << 64 | u128::from(number)).into()
    }
}

/// Floods a store that limits a thousand clients, and returns its number of entries and of evictions.
fn flood(strategy: &AnyStrategy, max_entries: usize, addresses: u64) -> (u64, u64) {
    let rate = Rate::literal("5/hour");
    let (backend, _) = store_of(max_entries);
    let limited: Vec<Key> = (0..1000_u64).map(|client| Key::from(("limited", client))).collect();
    let hit = |key, cost| admits(&backend, &[Hit::new(limit("limit", strategy), key, rate, cost)]);
    assert!(limited.iter().all(|key| hit(key, 5)));

    let mut next = limited.iter().cycle();
    for number in 0..addresses {
        let newcomer = Key::from(address(number));
        let is_admitted = admits(&backend, &[Hit::new(limit("limit", strategy), &newcomer, rate, 1)]);
        assert!(is_admitted, "no new client is refused: {strategy:?}");
        if number % 64 == 0 {
            assert!(backend.len() <= max_entries, "{} entries", backend.len());
            assert!(next.next().is_some_and(|key| !hit(key, 1)), "a limited client was forgotten: {strategy:?}");
        }
    }
    assert!(limited.iter().all(|key| !hit(key, 1)), "{strategy:?}");
    (u64::try_from(backend.len()).unwrap_or(u64::MAX), backend.evictions())
}

#[test]
fn flood_of_a_hundred_times_the_cap_keeps_limited_clients() {
    let addresses = times(250_000, 10_000_000);
    let (held, evicted) = flood(&FixedWindow.into(), 100_000, addresses);
    assert!(held > 95_000, "{held}");
    assert_eq!(held + evicted, addresses + 1000, "each eviction is counted");
}

#[test]
fn flood_keeps_limited_clients_of_every_strategy() {
    for strategy in &strategies(Rate::literal("5/hour")) {
        let addresses = times(20_000, 10_000_000);
        let (held, evicted) = flood(strategy, 8000, addresses);
        assert_eq!((held, evicted), (8000, addresses + 1000 - 8000), "{strategy:?}");
    }
}

/// Each client is limited by its first request, so only limited clients are left to evict.
#[test]
fn flood_of_limited_clients_counts_its_evictions() {
    let rate = Rate::literal("1/day");
    for strategy in &strategies(rate) {
        let (backend, addresses) = (store_of(2000).0, 10_000);
        for number in 0..addresses {
            let key = Key::from(address(number));
            assert!(admits(&backend, &[Hit::new(limit("limit", strategy), &key, rate, 1)]));
            let gone = (number + 1).saturating_sub(2000);
            assert_eq!((backend.len() as u64, backend.evictions()), (number + 1 - gone, gone), "{strategy:?}");
        }
    }
}
