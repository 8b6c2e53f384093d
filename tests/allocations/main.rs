//! A decision in memory about clients that are known takes nothing from the heap, and a full store takes no more of it
//! whoever comes. Allocations are counted for each thread, so that tests beside each other do not disturb; a test binary of
//! its own, since it has an allocator of its own.

mod client_ip;
mod flat;
mod functions;
mod on_error;
mod request;
mod rules;
mod uploads;

use std::{pin::pin, task::Poll};

use allocation_counter::measure;
use tests::limit;
use traffik::{
    Rate,
    backend::{Backend, MaybeReady, MemoryBackend},
    client::Key,
    decision::{Hit, LimitStatus},
    strategy::{AnyStrategy, FixedWindow, Gcra, LeakyBucket, SlidingWindowCounter, TokenBucket},
    test::ManualClock,
};

const RATE: Rate = Rate::literal("1000/min");

/// Every strategy whose state does not grow, so that it admits 1000 at once.
fn strategies() -> [AnyStrategy; 7] {
    [
        FixedWindow.into(),
        SlidingWindowCounter.into(),
        TokenBucket::new().into(),
        TokenBucket::new().burst(1000).into(),
        TokenBucket::new().burst(600).debt(400).into(),
        LeakyBucket::new().into(),
        Gcra::new().burst(1000).into(),
    ]
}

/// Each of many times as often as one of these is done: an allocation that only some decisions need is seen as well.
const TIMES: u64 = 300;

/// Whether a store in memory admits all of `hits` without waiting.
fn decides_now(backend: &MemoryBackend, hits: &[Hit<'_>]) -> bool {
    matches!(backend.decide(hits), MaybeReady::Ready(Ok(decision)) if decision.is_admitted())
}

/// The same, awaited.
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

    assert!(decide(&backend, &one), "the clients are known from here on");
    let admitted = measure(|| assert!((0..TIMES).all(|_| decide(&backend, &one))));
    assert!(decide(&backend, &rest));
    let refused = measure(|| assert!((0..TIMES).all(|_| !decide(&backend, &one))));
    [admitted.count_total, refused.count_total]
}

#[test]
fn a_decision_about_known_clients_allocates_nothing() {
    for strategy in &strategies() {
        for decide in [decides_now as Decide, decides] {
            for hits in [1, 2] {
                assert_eq!(allocations(decide, strategy, hits), [0, 0], "{hits} hits, {strategy:?}");
            }
        }
    }
}

/// Few requests meet more than two limits. What these allocate is known, and does not grow unnoticed.
#[test]
fn a_decision_about_more_than_two_allocates_as_often_as_is_known() {
    for strategy in &strategies() {
        for (hits, admitted, refused) in [(3, 1, 1), (4, 1, 1), (5, 7, 7), (6, 7, 7), (7, 7, 7), (8, 7, 7)] {
            let counted = allocations(decides_now, strategy, hits);
            assert_eq!(counted, [admitted * TIMES, refused * TIMES], "{hits} hits, {strategy:?}");
        }
    }
}

#[test]
fn a_peek_and_its_numbers_allocate_nothing() {
    let key = Key::from("alice");
    for strategy in &strategies() {
        let backend = MemoryBackend::with_clock("test", ManualClock::new());
        let hit = Hit::new(limit("limit", strategy), &key, RATE, 1);
        assert!(decides(&backend, &[hit]));
        let counted = measure(|| {
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            let Poll::Ready(Ok(decision)) = pin!(backend.peek(&[hit]).into_future()).poll(&mut cx) else {
                panic!("it waits")
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
fn what_is_counted_here_is_what_is_allocated() {
    assert_eq!(measure(|| drop(std::hint::black_box(Box::new(7)))).count_total, 1);

    // A client who comes for the first time is stored.
    let (key, strategy) = (Key::from("alice"), AnyStrategy::default());
    let backend = MemoryBackend::with_clock("test", ManualClock::new());
    let hit = Hit::new(limit("limit", &strategy), &key, RATE, 1);
    assert!(measure(|| assert!(decides_now(&backend, &[hit]))).count_total > 0);
}

#[test]
fn a_client_who_comes_for_the_first_time_takes_what_is_made_for_many() {
    for strategy in &strategies() {
        // One shard, as large as they get, and with room for all.
        let backend = MemoryBackend::builder("test").clock(ManualClock::new()).max_entries(16_000).build().unwrap();
        let counted = measure(|| {
            for client in 0..8000_u64 {
                let key = Key::from(client);
                assert!(decides_now(&backend, &[Hit::new(limit("limit", strategy), &key, RATE, 1)]));
            }
        });
        // Room for 256 entries at once, and an index that doubles.
        assert!(counted.count_total <= 8000 / 256 + 20, "{} for 8000 clients, {strategy:?}", counted.count_total);
        assert!(counted.bytes_current <= 8000 * 64, "{} bytes for 8000 clients, {strategy:?}", counted.bytes_current);
    }
}
