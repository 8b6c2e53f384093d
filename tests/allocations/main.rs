//! Checks that an in-memory decision about known clients allocates nothing, and that a full store does not grow.
//! Allocations are counted per thread, so concurrent tests do not disturb each other. The tests need their own binary
//! because they install an allocator.

mod client_ip;
mod flat;
mod functions;
mod on_error;
mod request;
mod rules;
mod uploads;

use std::{pin::pin, task::Poll};

use allocation_counter::measure;
use tests::{each_strategy_without_log, limit};
use traffik::{
    Rate,
    backend::{Backend, MaybeReady, MemoryBackend},
    client::Key,
    decision::{Hit, LimitStatus},
    strategy::{AnyStrategy, TokenBucket},
    test::ManualClock,
};

const RATE: Rate = Rate::literal("1000/min");

/// Returns every strategy whose state does not grow, configured to admit 1000.
fn strategies() -> Vec<AnyStrategy> {
    let with_debt = TokenBucket::new().burst(600).debt(400);
    each_strategy_without_log(RATE).into_iter().chain([with_debt.into()]).collect()
}

/// The number of repetitions. It is high enough to show an allocation that only some decisions need.
const TIMES: u64 = 300;

/// Returns whether an in-memory store admits all of `hits` without waiting.
fn decides_now(backend: &MemoryBackend, hits: &[Hit<'_>]) -> bool {
    matches!(backend.decide(hits), MaybeReady::Ready(Ok(decision)) if decision.is_admitted())
}

/// Same as `decides_now`, awaited.
fn decides(backend: &MemoryBackend, hits: &[Hit<'_>]) -> bool {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let decision = pin!(backend.decide(hits).into_future()).poll(&mut cx);
    matches!(decision, Poll::Ready(Ok(decision)) if decision.is_admitted())
}

type Decide = fn(&MemoryBackend, &[Hit<'_>]) -> bool;

/// Allocations of `TIMES` decisions about `hits` hits of cost 1 on different entries, admitted and then refused.
fn allocations(decide: Decide, strategy: &AnyStrategy, hits: usize) -> [u64; 2] {
    let uids = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let key = Key::from(("203.0.113.7".to_owned(), 42_u64));
    let hit = |uid: &'static str, cost| Hit::new(limit(uid, strategy), &key, RATE, cost);
    let of = |cost| uids.into_iter().take(hits).map(|uid| hit(uid, cost)).collect::<Vec<_>>();
    let backend = MemoryBackend::with_clock("test", ManualClock::new());
    let (one, rest) = (of(1), of(1000 - TIMES - 1));

    assert!(decide(&backend, &one), "the store admits known clients");
    let admitted = measure(|| assert!((0..TIMES).all(|_| decide(&backend, &one))));
    assert!(decide(&backend, &rest));
    let refused = measure(|| assert!((0..TIMES).all(|_| !decide(&backend, &one))));
    [admitted.count_total, refused.count_total]
}

#[test]
fn decision_about_known_clients_allocates_nothing() {
    for strategy in &strategies() {
        for decide in [decides_now as Decide, decides] {
            for hits in [1, 2, 3, 4] {
                assert_eq!(allocations(decide, strategy, hits), [0, 0], "{hits} hits, {strategy:?}");
            }
        }
    }
}

/// Few requests meet more than four limits. The number of allocations is fixed here, so that it does not grow unnoticed.
#[test]
fn decision_about_more_than_four_limits_allocates_a_fixed_number_of_times() {
    for strategy in &strategies() {
        for (hits, admitted, refused) in [(5, 5, 5), (6, 5, 5), (7, 5, 5), (8, 5, 5)] {
            let counted = allocations(decides_now, strategy, hits);
            assert_eq!(counted, [admitted * TIMES, refused * TIMES], "{hits} hits, {strategy:?}");
        }
    }
}

#[test]
fn peek_and_its_numbers_allocate_nothing() {
    let key = Key::from("alice");
    for strategy in &strategies() {
        let backend = MemoryBackend::with_clock("test", ManualClock::new());
        let hit = Hit::new(limit("limit", strategy), &key, RATE, 1);
        assert!(decides(&backend, &[hit]));
        let counted = measure(|| {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            let Poll::Ready(Ok(decision)) = pin!(backend.peek(&[hit]).into_future()).poll(&mut cx) else {
                panic!("the store did not answer on the first poll")
            };
            for outcome in decision.outcomes() {
                let standing = LimitStatus::new(strategy, RATE, outcome);
                assert_eq!((standing.remaining().units(), standing.retry_after()), (Some(999), None));
                assert!(standing.more_after().is_some() && !standing.reset_after().is_zero());
            }
        });
        assert_eq!(counted.count_total, 0, "{strategy:?}");
    }
}

#[test]
fn new_client_allocates_and_the_counter_sees_it() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(7)))).count_total, 1);

    // A new client is stored, which allocates.
    let (key, strategy) = (Key::from("alice"), AnyStrategy::default());
    let backend = MemoryBackend::with_clock("test", ManualClock::new());
    let hit = Hit::new(limit("limit", &strategy), &key, RATE, 1);
    assert!(measure(|| assert!(decides_now(&backend, &[hit]))).count_total > 0);
}

#[test]
fn new_clients_share_bulk_allocations() {
    for strategy in &strategies() {
        // One shard of the largest size, with room for all clients.
        let backend = MemoryBackend::builder("test").clock(ManualClock::new()).max_entries(8_191).build().unwrap();
        let counted = measure(|| {
            for client in 0..8000_u64 {
                let key = Key::from(client);
                assert!(decides_now(&backend, &[Hit::new(limit("limit", strategy), &key, RATE, 1)]));
            }
        });
        // A table that grows by a quarter.
        assert!(counted.count_total <= 8000 / 256 + 20, "{} for 8000 clients, {strategy:?}", counted.count_total);
        assert!(counted.bytes_current <= 8000 * 64, "{} bytes for 8000 clients, {strategy:?}", counted.bytes_current);
    }
}
