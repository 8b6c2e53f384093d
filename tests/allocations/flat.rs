//! Checks that the memory of a full store does not grow, whatever number of clients arrive.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use allocation_counter::measure;
use tests::limit;
use traffik::{
    Rate,
    backend::MemoryBackend,
    client::Key,
    decision::Hit,
    strategy::{AnyStrategy, FixedWindow, SlidingWindowLog},
    test::ManualClock,
};

use super::{decides_now, strategies};

const RATE: Rate = Rate::literal("1000/hour");

/// Returns a different address for each number, IPv4 or IPv6.
fn address(number: u64) -> Key {
    let spread = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    match u32::try_from(number) {
        Ok(low) if number.is_multiple_of(2) => Ipv4Addr::from_bits(low.wrapping_mul(0x9E37_79B1)).into(),
        _ => Ipv6Addr::from_bits(u128::from(spread) << 64 | u128::from(number)).into(),
    }
}

/// Returns 10 million addresses with `TRAFFIK_LONG`, `usual` otherwise.
fn addresses(usual: u64) -> u64 {
    if std::env::var_os("TRAFFIK_LONG").is_some() { 10_000_000 } else { usual }
}

/// Fills a store, then sends ten rounds of new clients, each with `requests` requests a microsecond apart. Checks that
/// no round leaves memory behind or needs much meanwhile.
#[expect(clippy::unwrap_used, reason = "the settings are in range")]
fn assert_flat(strategy: &AnyStrategy, max_entries: u32, addresses: u64, requests: u64) {
    let clock = ManualClock::new();
    let most = usize::try_from(max_entries).unwrap_or(usize::MAX);
    let backend = MemoryBackend::builder("test").clock(clock.clone()).max_entries(most).build().unwrap();
    let visit = |number| {
        let key = address(number);
        for _ in 0..requests {
            clock.advance(Duration::from_micros(1));
            assert!(decides_now(&backend, &[Hit::new(limit("limit", strategy), &key, RATE, 1)]));
        }
        assert!(backend.len() <= most, "{} entries", backend.len());
    };
    let (full, each) = (u64::from(max_entries) * 5 / 4, addresses / 10);
    (0..full).for_each(visit);
    for round in 0..10 {
        let counted = measure(|| (0..each).for_each(|number| visit(full + round * each + number)));
        assert!(counted.bytes_current.abs() < 32_768, "round {round} left {}: {strategy:?}", counted.bytes_current);
        assert!(counted.bytes_max < 1 << 20, "round {round} took {}: {strategy:?}", counted.bytes_max);
    }
}

#[test]
fn full_store_with_new_clients_keeps_its_size() {
    assert_flat(&FixedWindow.into(), 100_000, addresses(100_000), 1);
}

#[test]
fn full_store_with_any_strategy_keeps_its_size() {
    for strategy in strategies() {
        assert_flat(&strategy, 5000, addresses(10_000), 1);
    }
}

#[test]
fn evicted_entries_free_their_logs() {
    assert_flat(&SlidingWindowLog.into(), 5000, addresses(10_000), 5);
}

#[test]
fn log_with_expired_charges_frees_them() {
    let (clock, strategy, key) = (ManualClock::new(), AnyStrategy::from(SlidingWindowLog), Key::from("alice"));
    let backend = MemoryBackend::with_clock("test", clock.clone());
    let hit = Hit::new(limit("limit", &strategy), &key, Rate::literal("100/s"), 1);
    let ask = || {
        clock.advance(Duration::from_millis(10));
        assert!(decides_now(&backend, &[hit]));
    };
    (0..200).for_each(|_| ask());
    // At any time 100 of the 10,000 charges count.
    let counted = measure(|| (0..10_000).for_each(|_| ask()));
    assert!(counted.bytes_current < 1024, "{} bytes more", counted.bytes_current);
}
