//! All operations concurrently on the same entries: tuples in every order, single hits, refunds, resets, peeks, and new
//! clients that cause evictions. At the end each entry holds exactly its charges.

#![expect(clippy::indexing_slicing, reason = "places are those of the table")]

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tests::{limit, refunds};
use traffik::{
    Rate,
    backend::{Backend, MemoryBackend},
    client::Key,
    decision::{Charge, Hit, LimitStatus},
    strategy::{AnyStrategy, FixedWindow, SlidingWindowCounter, SlidingWindowLog, TokenBucket},
};

use super::{
    admits,
    crowd::{at_hand, at_once, in_finite_time},
    decided, store, store_of,
};
use crate::{patience::times, strategies::random::Random};

const RATE: Rate = Rate::literal("400/day");

/// The initial charge, which makes these entries the last to be evicted.
const HELD: u64 = 300;

struct Table {
    strategies: [AnyStrategy; 4],
    keys: [Key; 2],
}

impl Table {
    fn new() -> Self {
        let strategies =
            [SlidingWindowLog.into(), FixedWindow.into(), TokenBucket::new().into(), SlidingWindowCounter.into()];
        Self { strategies, keys: ["alice", "bob"].map(Key::from) }
    }

    /// Eight entries: one per strategy for each of two clients.
    fn hit(&self, place: usize, cost: u64) -> Hit<'_> {
        Hit::new(limit("limit", &self.strategies[place % 4]), &self.keys[place / 4], RATE, cost)
    }
}

/// Returns some distinct entries in random order.
fn some_places(random: &mut Random) -> Vec<usize> {
    let mut places: Vec<usize> = (0..8).collect();
    for last in (1..places.len()).rev() {
        places.swap(last, usize::try_from(random.upto(last as u64)).unwrap_or_default());
    }
    places.truncate(usize::try_from(random.upto(5)).unwrap_or_default() + 1);
    places
}

/// Runs random operations on a thread, and returns the charges that it keeps on each entry.
fn take_part(backend: &MemoryBackend, table: &Table, mut random: Random, thread: u64) -> [u64; 8] {
    let mut kept = [0_u64; 8];
    for turn in 0..times(6000, 600_000) {
        let places = some_places(&mut random);
        let hits: Vec<_> = places.iter().map(|&place| table.hit(place, random.upto(2) + 1)).collect();
        match random.upto(9) {
            0 => drop(at_hand(backend.peek(&hits))),
            1 | 2 => {
                // A new client, alone or in a tuple with known clients, that is soon forgotten.
                let key = Key::from((thread, turn));
                let newcomer = Hit::new(limit("newcomers", hits[0].limit.strategy()), &key, RATE, 1);
                let both = [hits[0].costing(0), newcomer];
                let asked = if turn % 2 == 0 { &both[..] } else { &both[1..] };
                assert!(admits(backend, asked));
                if turn % 3 == 0 {
                    at_hand(backend.reset(&[newcomer]));
                }
            }
            _ => {
                let decision = decided(backend, &hits);
                if !decision.is_admitted() {
                    continue;
                }
                if random.upto(9) > 0 {
                    let charges = hits.iter().zip(decision.outcomes());
                    let charges: Vec<_> = charges.map(|(&hit, outcome)| Charge::new(hit, outcome.at)).collect();
                    at_hand(backend.adjust(&refunds(&charges)));
                } else {
                    places.iter().zip(&hits).for_each(|(&place, hit)| kept[place] += hit.cost);
                }
            }
        }
    }
    kept
}

fn every_entry_holds_what_was_charged_to_it(backend: &MemoryBackend) {
    let (table, kept) = (Table::new(), Mutex::new([HELD; 8]));
    for place in 0..8 {
        assert!(admits(backend, &[table.hit(place, HELD)]));
    }
    at_once(|thread| {
        let of_thread = take_part(backend, &table, Random::new(thread + 1), thread);
        kept.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter_mut()
            .zip(of_thread)
            .for_each(|(kept, more)| *kept += more);
        0
    });
    let kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
    let held: Vec<_> = (0..8)
        .flat_map(|place| {
            let hit = table.hit(place, 1);
            let seen = at_hand(backend.peek(&[hit]));
            let left =
                |outcome| LimitStatus::new(hit.limit.strategy(), RATE, outcome).remaining().units().unwrap_or(u64::MAX);
            seen.outcomes().iter().map(|outcome| RATE.limit() - left(outcome)).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(held, kept, "each entry holds its charges");
    assert!(kept.iter().any(|&kept| kept > RATE.limit() - 10), "there were refusals: {kept:?}");
}

#[test]
fn concurrent_operations_in_a_full_store_keep_exact_counts() {
    in_finite_time(|| {
        let backend = store_of(64).0;
        every_entry_holds_what_was_charged_to_it(&backend);
        assert!(backend.evictions() > 1000, "{} evictions", backend.evictions());
        assert!(backend.len() <= 64);
    });
}

#[test]
fn concurrent_operations_in_several_full_shards_keep_exact_counts() {
    in_finite_time(|| {
        let (backend, strategy) = (store_of(20_000).0, AnyStrategy::default());
        for stranger in 0..20_000_u64 {
            let key = Key::from(stranger);
            let hit = Hit::new(limit("strangers", &strategy), &key, RATE, 1);
            assert!(admits(&backend, &[hit]));
        }
        every_entry_holds_what_was_charged_to_it(&backend);
        assert!(backend.evictions() > 1000, "{} evictions", backend.evictions());
        assert!(backend.len() <= 20_000);
    });
}

#[test]
fn concurrent_operations_in_many_shards_keep_exact_counts() {
    in_finite_time(|| every_entry_holds_what_was_charged_to_it(&store().0));
}

/// Resets and clock steps on the same entries: never more than the limit between two resets, and no deadlock.
#[test]
fn concurrent_resets_and_clears_do_not_deadlock() {
    in_finite_time(|| {
        let ((backend, clock), table) = (store_of(64), Table::new());
        let admitted = at_once(|thread| {
            let (mut random, mut admitted) = (Random::new(thread + 1), 0);
            for turn in 0..times(6000, 600_000) {
                let places = some_places(&mut random);
                let hits: Vec<_> = places.iter().map(|&place| table.hit(place, 100)).collect();
                match random.upto(19) {
                    0 => at_hand(backend.reset(&hits)),
                    1 if thread == 0 && turn % 10 == 0 => at_hand(backend.clear()),
                    2 if thread == 1 => clock.advance(Duration::from_secs(3600)),
                    3 => drop(at_hand(backend.peek(&hits))),
                    _ => admitted += u64::from(admits(&backend, &hits)),
                }
            }
            admitted
        });
        assert!(admitted > 100, "{admitted}");
        // The store still works.
        at_hand(backend.clear());
        assert!(backend.is_empty());
        for place in 0..8 {
            let all = [table.hit(place, RATE.limit())];
            assert!(admits(&backend, &all));
            assert!(!admits(&backend, &[table.hit(place, 1)]));
        }
    });
}
