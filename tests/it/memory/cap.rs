//! The entry cap: how many entries are held, which stay and which are evicted.

use std::time::Duration;

use tests::limit;
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    decision::{Charge, Hit},
    strategy::{AnyStrategy, TokenBucket},
};

use super::{admits, crowd::at_hand, decided, store, store_of, strategies};
use crate::patience::times;

#[test]
fn flood_of_new_clients_stays_within_the_cap() {
    let (strategy, rate) = (AnyStrategy::default(), Rate::literal("5/hour"));
    for max_entries in [16, 1000, 5000, 20_000] {
        let (backend, _) = store_of(max_entries);
        for stranger in 0..30_000_u64 {
            let key = Key::from(stranger);
            assert!(admits(&backend, &[Hit::new(limit("limit", &strategy), &key, rate, 1)]));
            if stranger % 500 == 0 {
                assert!(backend.len() <= max_entries);
            }
        }
        let held = backend.len();
        assert!(held <= max_entries && held >= max_entries / 2, "{held} of {max_entries}");
        assert_eq!(backend.evictions() + u64::try_from(held).unwrap(), 30_000, "each eviction is counted");
    }
}

/// Each store has other hashes, so that the newcomer is at another place of its table.
#[test]
fn each_newcomer_in_a_full_store_is_charged() {
    let (rate, strategy) = (Rate::literal("10/hour"), AnyStrategy::default());
    for _ in 0..times(50, 1000) {
        let (backend, _) = store_of(400);
        let charge = |client: u64, cost| {
            admits(&backend, &[Hit::new(limit("limit", &strategy), &Key::from(client), rate, cost)])
        };
        assert!((0..400).all(|known| charge(known, 5)));
        for newcomer in 400..1200 {
            assert!(charge(newcomer, 1) && !charge(newcomer, 10), "{newcomer}");
        }
        assert_eq!(backend.len(), 400);
    }
}

#[test]
fn tuples_of_new_clients_stay_within_the_cap() {
    let (strategy, rate) = (AnyStrategy::from(TokenBucket::new()), Rate::literal("1000/s"));
    for (max_entries, regulars) in [(16, 4_u64), (16, 15), (100, 60), (3000, 2000)] {
        let ((backend, clock), mut admitted) = (store_of(max_entries), 0);
        for stranger in 0..10_000_u64 {
            let (old, new) = (Key::from(("regular", stranger % regulars)), Key::from(("stranger", stranger)));
            let hit = |uid, key| Hit::new(limit(uid, &strategy), key, rate, 1);
            admitted += u64::from(admits(&backend, &[hit("a", &old), hit("b", &new), hit("c", &old), hit("d", &new)]));
            assert!(backend.len() <= max_entries, "{} of {max_entries}", backend.len());
            // Some of the entries have expired by then, others have not.
            clock.advance(Duration::from_micros(100));
        }
        assert!(admitted > 5000, "{admitted}");
    }
}

#[test]
fn expired_and_new_entry_in_one_tuple_stay_within_the_cap() {
    let strategy = AnyStrategy::default();
    // The entry may be anywhere in the store, so the sweep may or may not reach it.
    for place in 0..16_u64 {
        let (backend, clock) = store_of(16);
        let keys: Vec<Key> = (0..17_u64).map(Key::from).collect();
        let hits = |client: usize, rate| Hit::new(limit("limit", &strategy), &keys[client], rate, 1);
        for client in 0..16_u64 {
            let rate = if client == place { Rate::literal("5/s") } else { Rate::literal("5/hour") };
            assert!(admits(&backend, &[hits(usize::try_from(client).unwrap(), rate)]));
        }
        clock.advance(Duration::from_secs(1));
        let (old, new) = (usize::try_from(place).unwrap(), 16);
        assert!(admits(&backend, &[hits(old, Rate::literal("5/s")), hits(new, Rate::literal("5/s"))]));
        assert_eq!(backend.len(), 16, "the entry was at {place}");
    }
}

#[test]
fn expired_entries_are_removed_as_others_arrive() {
    let (strategy, rate) = (AnyStrategy::default(), Rate::literal("5/s"));
    let (backend, clock) = store();
    for client in 0..100_000_u64 {
        let key = Key::from(client);
        assert!(admits(&backend, &[Hit::new(limit("limit", &strategy), &key, rate, 1)]));
        if client % 1000 == 999 {
            clock.advance(Duration::from_secs(1));
        }
    }
    // A thousand arrive per second. The store holds few more than the live and the just expired entries.
    assert!(backend.len() < 5000, "{}", backend.len());
    assert_eq!(backend.evictions(), 0);
}

#[test]
fn expired_entries_are_evicted_before_limited_clients() {
    let (strategy, rate) = (AnyStrategy::default(), Rate::literal("1/min"));
    let (backend, clock) = store_of(1000);
    let hits = |client: u64, rate| {
        let key = Key::from(client);
        admits(&backend, &[Hit::new(limit("limit", &strategy), &key, rate, 1)])
    };
    for client in 0..500 {
        assert!(hits(client, Rate::literal("1/s")));
    }
    clock.advance(Duration::from_secs(1));
    for client in 1000..1900 {
        assert!(hits(client, rate));
    }
    assert_eq!(backend.evictions(), 0, "the expired entries made room");
    assert!((1000..1900).all(|client| !hits(client, rate)));
}

#[test]
fn limited_clients_stay_limited_up_to_nine_tenths_of_the_cap() {
    let rate = Rate::literal("5/hour");
    for strategy in strategies(rate) {
        let (backend, _) = store_of(1000);
        let admitted = |name: &'static str, number: u64, cost| {
            let key = Key::from((name, number));
            admits(&backend, &[Hit::new(limit("limit", &strategy), &key, rate, cost)])
        };
        for limited in 0..899 {
            assert!(admitted("limited", limited, 5));
        }
        for stranger in 0..10_000 {
            assert!(admitted("stranger", stranger, 2));
        }
        assert!((0..899).all(|limited| !admitted("limited", limited, 1)), "{strategy:?}");
    }
}

#[test]
fn limited_clients_stay_limited_at_any_cap() {
    let (strategy, rate) = (AnyStrategy::default(), Rate::literal("1/day"));
    for max_entries in [2000, 20_000, 33_792, 40_000, 65_536] {
        let (backend, _) = store_of(max_entries);
        let admitted = |uid: &'static str, client: usize, rate| {
            let key = Key::from(u64::try_from(client).unwrap_or(0));
            admits(&backend, &[Hit::new(limit(uid, &strategy), &key, rate, 1)])
        };
        let limited = max_entries * 89 / 100;
        assert!((0..limited).all(|client| admitted("limited", client, rate)));
        assert!((0..max_entries).all(|client| admitted("open", client, Rate::literal("10/day"))));
        assert!(!(0..limited).any(|client| admitted("limited", client, rate)), "a cap of {max_entries}");
    }
}

#[test]
fn client_without_room_for_its_next_cost_counts_as_limited() {
    let strategy = AnyStrategy::default();
    let (backend, _) = store_of(1000);
    let hit = |uid: &'static str, client: u64, rate, cost| {
        let key = Key::from(client);
        admits(&backend, &[Hit::new(limit(uid, &strategy), &key, rate, cost)])
    };
    // Nine of ten are used, and the next request costs three.
    for client in 0..300 {
        assert!((0..3).all(|_| hit("login", client, Rate::literal("10/day"), 3)));
    }
    // These clients used more, but a smaller share of their limit.
    for stranger in 0..3000 {
        assert!(hit("api", stranger, Rate::literal("1000/day"), 10));
    }
    assert!(!(0..300).any(|client| hit("login", client, Rate::literal("10/day"), 3)));
}

#[test]
fn store_of_limited_clients_evicts_the_shortest_wait() {
    let strategy = AnyStrategy::from(TokenBucket::new());
    let (backend, clock) = store_of(16);
    let admitted = |client: u64| {
        let key = Key::from(client);
        admits(&backend, &[Hit::new(limit("limit", &strategy), &key, Rate::literal("1/hour"), 1)])
    };
    for client in 0..16 {
        assert!(admitted(client));
        clock.advance(Duration::from_secs(1));
    }
    assert!(admitted(100), "no new client is refused");
    assert_eq!((backend.len(), backend.evictions()), (16, 1));
    assert!((1..16).all(|client| !admitted(client)));
    assert!(admitted(0), "the first client had the shortest wait");
}

#[test]
fn decision_with_many_new_clients_in_a_full_store_charges_each() {
    let strategy = AnyStrategy::from(TokenBucket::new());
    for (max_entries, clients) in [(16, 16), (100, 40), (1000, 200)] {
        let (backend, _) = store_of(max_entries);
        let rate = Rate::literal("1/hour");
        for stranger in 0..2 * u64::try_from(max_entries).unwrap() {
            let key = Key::from(("stranger", stranger));
            assert!(admits(&backend, &[Hit::new(limit("limit", &strategy), &key, rate, 1)]));
        }
        let keys: Vec<Key> = (0..clients).map(Key::from).collect();
        let hits: Vec<_> = keys.iter().map(|key| Hit::new(limit("limit", &strategy), key, rate, 1)).collect();
        assert!(admits(&backend, &hits));
        assert!(!hits.iter().any(|hit| admits(&backend, &[*hit])), "{clients} of {max_entries}");
    }
}

#[test]
fn client_whose_charge_was_settled_to_more_is_evicted_before_refused_ones() {
    let (strategy, rate) = (AnyStrategy::from(TokenBucket::new()), Rate::literal("10/hour"));
    let (backend, clock) = store_of(16);
    let key = |client: u64| Key::from(client);
    let settled = key(0);
    let hit = Hit::new(limit("limit", &strategy), &settled, rate, 1);
    let at = decided(&backend, &[hit]).outcomes()[0].at;
    // Its next request costs 1, and fits.
    assert!(at_hand(backend.adjust(&[Charge::new(hit, at).settle(6)])).iter().all(Result::is_ok));
    for refused in 1..16 {
        clock.advance(Duration::from_secs(1));
        assert!(admits(&backend, &[Hit::new(limit("limit", &strategy), &key(refused), rate, 10)]));
    }
    assert!(admits(&backend, &[Hit::new(limit("limit", &strategy), &key(100), rate, 1)]));
    assert!((1..16).all(|refused| !admits(&backend, &[Hit::new(limit("limit", &strategy), &key(refused), rate, 10)])));
    assert!(admits(&backend, &[Hit::new(limit("limit", &strategy), &settled, rate, 10)]), "it was evicted");
}

#[test]
fn client_that_took_what_fits_is_evicted_before_refused_ones() {
    let (strategy, rate) = (AnyStrategy::from(TokenBucket::new()), Rate::literal("10/hour"));
    let (backend, clock) = store_of(16);
    let hit = |client: &'static str, cost| (Key::from(client), cost);
    let admitted = |(key, cost): (Key, u64), least| {
        admits(&backend, &[Hit::new(limit("limit", &strategy), &key, rate, cost).at_least(least)])
    };
    // It took 6 of 10. Another such hit would take 4, and is not refused.
    assert!(admitted(hit("modest", 6), 1));
    for refused in 1..16_u64 {
        clock.advance(Duration::from_secs(1));
        assert!(admitted((Key::from(refused), 10), 10));
    }
    assert!(admitted(hit("new", 1), 1));
    assert!((1..16_u64).all(|refused| !admitted((Key::from(refused), 10), 10)));
    assert!(admitted(hit("modest", 10), 10), "it was evicted");
}

#[test]
fn client_is_ranked_by_the_settings_of_its_last_decision() {
    let rate = Rate::literal("60/hour");
    let [large, small] = [10, 3].map(|burst| AnyStrategy::from(TokenBucket::new().burst(burst)));
    let (backend, _) = store_of(16);
    let admitted = |client: u64, strategy, cost| {
        let key = Key::from(client);
        admits(&backend, &[Hit::new(limit("limit", strategy), &key, rate, cost)])
    };
    // It has used the least, but all that the smaller bucket holds.
    assert!(admitted(0, &large, 2) && admitted(0, &small, 1));
    assert!((1..16).all(|client| admitted(client, &large, 4)));
    assert!((100..110).all(|newcomer| admitted(newcomer, &large, 4)));
    assert!(!admitted(0, &small, 1), "a limited client was forgotten");
}

#[test]
fn clients_that_return_after_their_state_expired_keep_their_entries() {
    let rate = Rate::literal("5/s");
    for strategy in strategies(rate) {
        let (backend, clock) = store_of(10_000);
        for _ in 0..3 {
            for client in 0..5000_u64 {
                let key = Key::from(client);
                let hits = ["a", "b"].map(|uid| Hit::new(limit(uid, &strategy), &key, rate, 1));
                assert!(admits(&backend, &hits[..1]) && admits(&backend, &hits));
            }
            clock.advance(Duration::from_secs(10));
        }
        assert!(backend.len() > 9500 && backend.evictions() < 500, "{} {}", backend.len(), backend.evictions());
    }
}

#[test]
fn store_of_unlimited_clients_evicts_the_one_with_most_left() {
    let strategy = AnyStrategy::default();
    let (backend, _) = store_of(16);
    let hits = |client: u64, cost| {
        let key = Key::from(client);
        admits(&backend, &[Hit::new(limit("limit", &strategy), &key, Rate::literal("20/hour"), cost)])
    };
    for client in 0..16 {
        assert!(hits(client, client + 4));
    }
    assert!(hits(100, 10));
    assert!((1..16).all(|client| !hits(client, 20 - client - 3)), "the store kept their charges");
    assert!(hits(0, 20), "the first client had used least");
}
