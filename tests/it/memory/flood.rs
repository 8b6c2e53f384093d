//! An attacker with endless addresses.

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

/// Ever another address, of either kind.
fn address(number: u64) -> IpAddr {
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    if number.is_multiple_of(2) {
        Ipv4Addr::from_bits(u32::try_from(number / 2).unwrap_or(u32::MAX).wrapping_mul(0x9E37_79B1)).into()
    } else {
        Ipv6Addr::from_bits(u128::from(spread) << 64 | u128::from(number)).into()
    }
}

/// Floods a store while a thousand clients are limited in it, and returns how many entries it held and how many had to go.
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
        assert!(is_admitted, "no newcomer is refused: {strategy:?}");
        if number % 64 == 0 {
            assert!(backend.len() <= max_entries, "{} entries", backend.len());
            assert!(next.next().is_some_and(|key| !hit(key, 1)), "a limited client got a fresh start: {strategy:?}");
        }
    }
    assert!(limited.iter().all(|key| !hit(key, 1)), "{strategy:?}");
    (u64::try_from(backend.len()).unwrap_or(u64::MAX), backend.evictions())
}

#[test]
fn a_hundred_times_as_many_addresses_as_there_is_room_for() {
    let addresses = times(250_000, 10_000_000);
    let (held, evicted) = flood(&FixedWindow.into(), 100_000, addresses);
    assert!(held > 95_000, "{held}");
    assert_eq!(held + evicted, addresses + 1000, "each that had to go is counted");
}

#[test]
fn it_is_the_same_for_every_strategy() {
    for strategy in &strategies(Rate::literal("5/hour")) {
        let addresses = times(20_000, 10_000_000);
        let (held, evicted) = flood(strategy, 8000, addresses);
        assert_eq!((held, evicted), (8000, addresses + 1000 - 8000), "{strategy:?}");
    }
}

/// Each is limited by its first request, so that in the end there is nobody to let go but limited clients.
#[test]
fn where_every_newcomer_is_limited_at_once_those_that_had_to_go_are_counted() {
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
