//! Checks of many concurrent threads.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tests::limit;
use traffik::{
    Rate,
    backend::{Backend, MaybeReady},
    client::Key,
    clock::Clock,
    decision::{Hit, LimitStatus},
    strategy::{AnyStrategy, FixedWindow, Strategy, TokenBucket},
};

use super::{
    admits,
    crowd::{at_hand, at_once},
    store, store_of, strategies,
};
use crate::patience::times;

#[test]
fn concurrent_hits_are_admitted_exactly_up_to_the_limit() {
    let rate = Rate::literal("100/min");
    for strategy in strategies(rate) {
        let (backend, clock) = store();
        for round in 0..times(50, 5000) {
            let key = Key::from(round);
            let hit = Hit::new(limit("limit", &strategy), &key, rate, 1);
            let admitted = at_once(|_| (0..20).map(|_| u64::from(admits(&backend, &[hit]))).sum());
            assert_eq!(admitted, 100, "{strategy:?}, round {round}");
            clock.advance(Duration::from_millis(777));
        }
    }
}

#[test]
fn concurrent_costs_add_up_to_the_limit_at_most() {
    let rate = Rate::literal("101/min");
    for strategy in strategies(rate) {
        let (backend, _) = store();
        for round in 0..times(50, 5000) {
            let key = Key::from(round);
            let of = |cost| Hit::new(limit("limit", &strategy), &key, rate, cost);
            let charged = at_once(|thread| {
                let cost = thread % 4 + 1;
                (0..20).map(|_| u64::from(admits(&backend, &[of(cost)])) * cost).sum()
            });
            // Threads with a cost of 1 may have ended before threads with a higher cost took the rest.
            assert!((98..=101).contains(&charged), "{strategy:?}, round {round}: {charged}");
            let rest = (0..4).filter(|_| admits(&backend, &[of(1)])).count();
            assert_eq!(charged + u64::try_from(rest).unwrap(), 101);
        }
    }
}

#[test]
fn concurrent_hits_at_a_window_edge_stay_within_the_limit_of_each_window() {
    let (rate, windows) = (Rate::literal("50/s"), times(60, 3000));
    let strategy = AnyStrategy::from(FixedWindow);
    let (backend, clock) = store();
    let start = clock.now();
    let key = Key::from("alice");
    let hit = Hit::new(limit("limit", &strategy), &key, rate, 1);
    let admitted: Vec<AtomicU64> = (0..=windows).map(|_| AtomicU64::new(0)).collect();

    at_once(|thread| {
        while clock.now().saturating_since(start) < Duration::from_secs(windows) {
            let MaybeReady::Ready(Ok(decision)) = backend.decide(&[hit]) else { return 0 };
            for outcome in decision.outcomes().iter().filter(|outcome| outcome.admitted) {
                let window = usize::try_from(outcome.at.saturating_since(start).as_secs()).unwrap_or_default();
                admitted[window].fetch_add(1, Ordering::Relaxed);
            }
            // One thread moves the clock, when it is refused, to the edge and over it while the others check.
            if thread == 0 && !decision.is_admitted() {
                clock.advance(Duration::from_millis(250));
            }
        }
        0
    });
    let admitted: Vec<_> = admitted.into_iter().map(AtomicU64::into_inner).collect();
    assert_eq!(admitted.iter().position(|&admitted| admitted != 50), Some(admitted.len() - 1), "{admitted:?}");
}

#[test]
fn token_bucket_under_a_moving_clock_admits_its_burst_and_refill() {
    let rate = Rate::literal("1000/s");
    let strategy = AnyStrategy::from(TokenBucket::new().burst(10));
    let (backend, clock) = store();
    let start = clock.now();
    let key = Key::from("alice");
    let hit = Hit::new(limit("limit", &strategy), &key, rate, 1);
    let admitted = at_once(|thread| {
        (0..2000)
            .map(|_| {
                if thread == 0 {
                    clock.advance(Duration::from_micros(100));
                }
                u64::from(admits(&backend, &[hit]))
            })
            .sum()
    });
    // One token comes back per millisecond: 200 in the elapsed time.
    assert_eq!(clock.now().saturating_since(start), Duration::from_millis(200));
    assert!((10..=210).contains(&admitted), "{admitted}");
}

#[test]
fn concurrent_tuples_charge_all_limits_or_none_and_do_not_deadlock() {
    let (wide, narrow) = (Rate::literal("1000/min"), Rate::literal("100/min"));
    for strategy in strategies(narrow) {
        let (backend, _) = store();
        for round in 0..50_u64 {
            let (alice, bob) = (Key::from(("alice", round)), Key::from(("bob", round)));
            let hit = |uid, key, rate| Hit::new(limit(uid, &strategy), key, rate, 1);
            let hits = [hit("a", &alice, wide), hit("b", &bob, wide), hit("c", &alice, wide), hit("d", &bob, narrow)];
            let admitted = at_once(|thread| {
                let mut hits = hits;
                // Each thread has its own order of the hits.
                hits.rotate_left(usize::try_from(thread % 4).unwrap_or_default());
                if thread >= 4 {
                    hits.reverse();
                }
                (0..20).map(|_| u64::from(admits(&backend, &hits))).sum()
            });
            assert_eq!(admitted, 100, "{strategy:?}, round {round}");

            let left = |hit: Hit<'_>| {
                let unasked = hit.costing(0);
                let decision = at_hand(backend.decide(&[unasked]));
                LimitStatus::new(&strategy, hit.rate, &decision.outcomes()[0]).remaining()
            };
            assert_eq!(hits.map(left), hits.map(|hit| strategy.capacity(hit.rate) - 100));
        }
    }
}

#[test]
fn concurrent_resets_refunds_and_decisions_keep_the_store_consistent() {
    let (rate, strategy) = (Rate::literal("5/min"), AnyStrategy::default());
    let (backend, _) = store();
    let keys: Vec<Key> = (0..50_u64).map(Key::from).collect();
    at_once(|thread| {
        for (i, key) in (0_u64..).zip(keys.iter().cycle().take(5000)) {
            let hit = Hit::new(limit("limit", &strategy), key, rate, 1);
            if (i + thread) % 7 == 0 {
                at_hand(backend.reset(&[hit]));
            } else {
                admits(&backend, &[hit]);
            }
        }
        0
    });
    assert!(backend.len() <= keys.len());
    at_hand(backend.clear());
    assert!(backend.is_empty());
    for key in &keys {
        let hit = Hit::new(limit("limit", &strategy), key, rate, 5);
        assert!(admits(&backend, &[hit]) && !admits(&backend, &[hit]));
    }
}

#[test]
fn concurrent_new_clients_stay_within_the_cap() {
    let (strategy, rate) = (AnyStrategy::default(), Rate::literal("5/hour"));
    let (backend, _) = store_of(2000);
    let most = AtomicU64::new(0);
    at_once(|thread| {
        for stranger in 0..5000_u64 {
            let (one, other) = (Key::from((thread, stranger)), Key::from((thread, stranger / 2)));
            let hit = |uid, key| Hit::new(limit(uid, &strategy), key, rate, 1);
            admits(&backend, &[hit("a", &one), hit("b", &other)]);
            if stranger % 50 == 0 {
                most.fetch_max(u64::try_from(backend.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        }
        0
    });
    assert!((1000..=2000).contains(&most.into_inner()));
}
