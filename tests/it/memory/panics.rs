//! A custom strategy that panics changes no stored state, of its own client or of another.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tests::{limit, refunds};
use traffik::{
    Rate,
    backend::{Backend, MemoryBackend},
    client::Key,
    clock::{Clock, Timestamp},
    decision::{Charge, Hit, Outcome},
    strategy::{
        AnyStrategy, Concurrency, FixedWindow, SlidingWindowLog, State, StoredState, Strategy, StrategyError,
        TokenBucket,
    },
    test::ManualClock,
};

use super::{admits, store_of};

const RATE: Rate = Rate::literal("5/min");

const FUNCTIONS: [&str; 9] =
    ["capacity", "available", "fits", "available_at", "charge", "refund", "still_counts", "clamped_to", "summary"];

/// The function that panics, if any.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fault(Arc<Mutex<Option<&'static str>>>);

impl Fault {
    pub(crate) fn set(&self, function: Option<&'static str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = function;
    }

    fn is(&self, function: &str) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) == Some(function)
    }
}

/// A custom strategy that behaves like a built-in one and panics on demand.
#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) inner: AnyStrategy,
    pub(crate) fault: Fault,
}

impl Faulty {
    fn at(&self, function: &str) -> &AnyStrategy {
        assert!(!self.fault.is(function), "{function} panics on purpose");
        &self.inner
    }
}

impl Strategy for Faulty {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn check(&self, rate: Rate) -> Result<(), StrategyError> {
        self.inner.check(rate)
    }

    fn capacity(&self, rate: Rate) -> u64 {
        self.at("capacity").capacity(rate)
    }

    fn available(&self, past: Option<&StoredState>, rate: Rate, now: Timestamp) -> u64 {
        self.at("available").available(past, rate, now)
    }

    fn fits(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> bool {
        self.at("fits");
        cost <= self.available(past, rate, now)
    }

    fn available_at(&self, past: Option<&StoredState>, rate: Rate, cost: u64, now: Timestamp) -> Timestamp {
        self.at("available_at").available_at(past, rate, cost, now)
    }

    fn charge(&self, past: Option<StoredState>, rate: Rate, cost: u64, now: Timestamp) -> State {
        self.at("charge").charge(past, rate, cost, now)
    }

    fn refund(&self, past: StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> State {
        self.at("refund").refund(past, cost, charged_at, now)
    }

    fn still_counts(&self, past: &StoredState, cost: u64, charged_at: Timestamp, now: Timestamp) -> bool {
        self.at("still_counts").still_counts(past, cost, charged_at, now)
    }

    fn clamped_to(&self, past: &StoredState, now: Timestamp) -> Option<State> {
        self.at("clamped_to").clamped_to(past, now)
    }

    fn summary(&self, past: &StoredState, rate: Rate, cost: u64, now: Timestamp) -> StoredState {
        self.at("summary").summary(past, rate, cost, now)
    }
}

/// A store in which a built-in strategy charged alice and a custom one charged bob.
struct Rig {
    backend: MemoryBackend,
    clock: ManualClock,
    built_in: AnyStrategy,
    custom: AnyStrategy,
    fault: Fault,
    alice: Key,
    bob: Key,
    charged_at: Timestamp,
}

impl Rig {
    fn new(built_in: &AnyStrategy, inner: &AnyStrategy) -> Self {
        // One shard, so that every call meets the state that a panic left.
        let (backend, clock) = store_of(100);
        let fault = Fault::default();
        let mut rig = Self {
            backend,
            charged_at: Timestamp::UNIX_EPOCH,
            clock,
            built_in: built_in.clone(),
            custom: AnyStrategy::custom(Faulty { inner: inner.clone(), fault: fault.clone() }),
            fault,
            alice: Key::from("alice"),
            bob: Key::from("bob"),
        };
        for _ in 0..2 {
            rig.charged_at = rig.clock.now();
            assert!(admits(&rig.backend, &[rig.alice(1), rig.bob(1)]));
            rig.clock.advance(Duration::from_secs(1));
        }
        rig
    }

    /// Returns one setup for each pair of strategies: those with logs use other code paths than those without.
    fn each() -> impl Iterator<Item = Self> {
        let built_in: [AnyStrategy; 3] = [SlidingWindowLog.into(), Concurrency.into(), TokenBucket::new().into()];
        let inner: [AnyStrategy; 3] = [SlidingWindowLog.into(), Concurrency.into(), FixedWindow.into()];
        built_in.into_iter().flat_map(move |built_in| inner.clone().map(|inner| Self::new(&built_in, &inner)))
    }

    fn alice(&self, cost: u64) -> Hit<'_> {
        Hit::new(limit("built-in", &self.built_in), &self.alice, RATE, cost)
    }

    fn bob(&self, cost: u64) -> Hit<'_> {
        Hit::new(limit("custom", &self.custom), &self.bob, RATE, cost)
    }

    fn charge<'a>(&self, hit: Hit<'a>) -> Charge<'a> {
        Charge::new(hit, self.charged_at)
    }

    /// Returns the outcome of each client at each cost.
    fn standings(&self) -> [Vec<Outcome>; 2] {
        let standings = |hit: fn(&Self, u64) -> Hit<'_>| {
            let decisions = (1..=5).map(|cost| ready(self.backend.peek(&[hit(self, cost)])));
            let outcomes: Vec<_> = decisions.flatten().flat_map(|decision| decision.outcomes().to_vec()).collect();
            assert_eq!(outcomes.len(), 5);
            outcomes
        };
        [standings(Self::alice), standings(Self::bob)]
    }

    /// Returns whether `call` panics if `function` does. The backend then serves other clients as before.
    fn panics(&self, function: &'static str, call: impl FnOnce(&Self)) -> bool {
        self.fault.set(Some(function));
        let has_panicked = catch_unwind(AssertUnwindSafe(|| call(self))).is_err();
        self.fault.set(None);
        let (len, carol) = (self.backend.len(), Key::from("carol"));
        assert_eq!(len, 2, "{function}");
        for hit in [Hit::new(self.alice(1).limit, &carol, RATE, 1), Hit::new(self.bob(1).limit, &carol, RATE, 1)] {
            assert!(admits(&self.backend, &[hit]), "{function}");
            assert!(ready(self.backend.reset(&[hit])).is_ok());
        }
        has_panicked
    }

    /// Checks that a panicking call changes nothing, and returns the functions in which it panics.
    fn assert_unchanged(call: impl Fn(&Self)) -> Vec<&'static str> {
        let mut panicked = Vec::new();
        for goes_back in [false, true] {
            for function in FUNCTIONS {
                for rig in Self::each() {
                    if goes_back {
                        rig.clock.set(Timestamp::from_micros(rig.clock.now().as_micros() - 10_000_000));
                    }
                    let before = rig.standings();
                    if rig.panics(function, &call) {
                        assert_eq!(rig.standings(), before, "{function}");
                        panicked.push(function);
                    }
                }
            }
        }
        panicked.sort_unstable();
        panicked.dedup();
        panicked
    }
}

/// Returns the answer of an in-memory store, which is ready on the first poll.
#[expect(clippy::panic, reason = "the test fails here")]
fn ready<T>(answer: impl IntoFuture<Output = T>) -> T {
    match pin!(answer.into_future()).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the store did not answer on the first poll"),
    }
}

#[test]
fn admitted_decision_that_panics_changes_nothing() {
    let orders: [fn(&Rig); 4] = [
        |rig| drop(rig.backend.decide(&[rig.alice(1), rig.bob(1)])),
        |rig| drop(rig.backend.decide(&[rig.bob(1), rig.alice(1)])),
        |rig| drop(rig.backend.decide(&[rig.alice(1), rig.bob(1), rig.bob(1), rig.alice(1)])),
        |rig| drop(rig.backend.decide(&[rig.bob(1), rig.alice(1), rig.alice(0), rig.bob(2)])),
    ];
    for order in orders {
        let panicked = Rig::assert_unchanged(order);
        assert_eq!(panicked, ["available", "charge", "clamped_to", "fits", "summary"]);
    }
}

#[test]
fn refused_decision_that_panics_changes_nothing() {
    let refusals: [fn(&Rig); 4] = [
        |rig| drop(rig.backend.decide(&[rig.alice(4), rig.bob(1)])),
        |rig| drop(rig.backend.decide(&[rig.bob(1), rig.alice(4)])),
        |rig| drop(rig.backend.decide(&[rig.alice(1), rig.bob(4)])),
        |rig| drop(rig.backend.decide(&[rig.bob(4), rig.alice(1)])),
    ];
    for refusal in refusals {
        let panicked = Rig::assert_unchanged(refusal);
        assert_eq!(panicked, ["available", "clamped_to", "fits", "summary"]);
    }
}

#[test]
fn decision_about_one_client_that_panics_changes_nothing() {
    let panicked = Rig::assert_unchanged(|rig| drop(rig.backend.decide(&[rig.bob(1)])));
    assert_eq!(panicked, ["available", "charge", "clamped_to", "fits", "summary"]);
}

#[test]
fn peek_that_panics_changes_nothing() {
    let panicked = Rig::assert_unchanged(|rig| drop(ready(rig.backend.peek(&[rig.alice(1), rig.bob(1)]))));
    assert_eq!(panicked, ["available", "clamped_to", "fits", "summary"]);
}

#[test]
fn renewal_that_panics_keeps_its_own_client_and_renews_the_rest() {
    let mut panicked = Vec::new();
    for function in FUNCTIONS {
        for rig in Rig::each() {
            let [_, bob] = rig.standings();
            rig.fault.set(Some(function));
            let charges = [rig.charge(rig.alice(1)), rig.charge(rig.bob(1)), rig.charge(rig.alice(1))];
            let renewed = ready(rig.backend.renew(&charges)).unwrap();
            rig.fault.set(None);
            assert!(renewed[0].is_some() && renewed[2].is_some(), "{function}");
            if renewed[1].is_none() {
                panicked.push(function);
                assert_eq!(rig.standings()[1], bob, "{function}");
            }
        }
    }
    panicked.sort_unstable();
    panicked.dedup();
    assert_eq!(panicked, ["available", "charge", "clamped_to", "fits", "refund", "still_counts"]);
}

#[test]
fn refund_that_panics_keeps_its_own_client_and_refunds_the_rest() {
    for function in ["refund", "clamped_to"] {
        for rig in Rig::each() {
            let [alice, bob] = rig.standings();
            let refund = |rig: &Rig| {
                let carol = Key::from("carol");
                let carols = Hit::new(rig.bob(1).limit, &carol, RATE, 1);
                let charges = [rig.charge(rig.bob(1)), rig.charge(carols), rig.charge(rig.alice(1))];
                let refunded = ready(rig.backend.adjust(&refunds(&charges))).unwrap();
                assert_eq!(refunded.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, true], "{function}");
            };
            assert!(!rig.panics(function, refund));
            let [alice_after, bob_after] = rig.standings();
            assert_eq!(bob_after, bob, "{function}");
            assert_ne!(alice_after, alice, "{function}");
        }
    }
}

/// Returns a full store with entries of custom strategies, and the switch that makes them panic.
fn full(inner: &AnyStrategy) -> (MemoryBackend, AnyStrategy, Fault) {
    let fault = Fault::default();
    let backend = store_of(16).0;
    let custom = AnyStrategy::custom(Faulty { inner: inner.clone(), fault: fault.clone() });
    for client in 0..16_u64 {
        let key = Key::from(client);
        assert!(admits(&backend, &[Hit::new(limit("custom", &custom), &key, RATE, 3)]));
    }
    assert_eq!((backend.len(), backend.evictions()), (16, 0));
    (backend, custom, fault)
}

#[test]
fn strategy_that_panics_while_entries_are_ranked_fails_no_other_request() {
    for function in FUNCTIONS {
        for inner in [SlidingWindowLog.into(), FixedWindow.into()] {
            let (backend, _custom, fault) = full(&inner);
            fault.set(Some(function));
            let (strategy, key) = (AnyStrategy::default(), Key::from("stranger"));
            for evictions in 1..=20 {
                let key = Key::from(("stranger", evictions));
                assert!(admits(&backend, &[Hit::new(limit("other", &strategy), &key, RATE, 1)]));
                assert_eq!((backend.len(), backend.evictions()), (16, evictions), "{function}");
            }
            let answer = ready(backend.renew(&[Charge::new(
                Hit::new(limit("other", &Concurrency.into()), &key, RATE, 1),
                Timestamp::UNIX_EPOCH,
            )]));
            assert!(answer.unwrap()[0].is_some());
            assert_eq!((backend.len(), backend.evictions()), (16, 21), "{function}");
        }
    }
}

#[test]
fn decision_that_panics_evicts_nothing() {
    for function in ["fits", "available", "charge", "summary"] {
        let (backend, custom, fault) = full(&SlidingWindowLog.into());
        let (strategy, key) = (AnyStrategy::default(), Key::from("new"));
        let hits =
            [Hit::new(limit("other", &strategy), &key, RATE, 1), Hit::new(limit("custom", &custom), &key, RATE, 1)];
        fault.set(Some(function));
        assert!(catch_unwind(AssertUnwindSafe(|| backend.decide(&hits))).is_err(), "{function}");
        fault.set(None);
        assert_eq!((backend.len(), backend.evictions()), (16, 0), "{function}");
        for client in 0..16_u64 {
            let key = Key::from(client);
            assert!(!admits(&backend, &[Hit::new(limit("custom", &custom), &key, RATE, 3)]));
        }
    }
}
