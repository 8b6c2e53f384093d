//! Many threads at the moment when room comes back: one of them advances the clock while the others check.

use std::{
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tests::limit;
use traffik::{
    Rate,
    client::Key,
    clock::{Clock, Timestamp},
    decision::Hit,
    strategy::AnyStrategy,
};

use super::{admits, crowd::at_once, decided, store, strategies};
use crate::patience::times;

const LIMIT: u64 = 20;
const RATE: Rate = Rate::literal("20/min");

/// Returns how long after a full burst, just before the end of a window, room comes back, and how much.
fn comes_back(strategy: &AnyStrategy) -> (Duration, u64) {
    let just_before = Duration::from_micros(1);
    match strategy {
        AnyStrategy::FixedWindow(_) => (just_before, LIMIT),
        // Half of the next window has passed, and half of the previous window has faded.
        AnyStrategy::SlidingWindowCounter(_) => (just_before + Duration::from_secs(30), LIMIT / 2),
        AnyStrategy::SlidingWindowLog(_) | AnyStrategy::Concurrency(_) => (Duration::from_secs(60), LIMIT),
        _ => (Duration::from_secs(30), LIMIT / 2),
    }
}

/// Returns how many are admitted before the clock moves to `turn`, and how many at that time. One thread moves it after its
/// first check. Each thread checks until it is refused, waits for the turn, and checks until it is refused there.
fn admitted_around(
    turn: Timestamp,
    clock: &traffik::test::ManualClock,
    decide: impl Fn() -> (bool, Timestamp) + Sync,
) -> [u64; 2] {
    let (before, has_turned, turned) = (AtomicU64::new(0), Mutex::new(false), Condvar::new());
    let lock = || has_turned.lock().unwrap_or_else(PoisonError::into_inner);
    let then = at_once(|thread| {
        let (mut then, mut moves) = (0, thread == 0);
        loop {
            let decision = decide();
            if std::mem::take(&mut moves) {
                clock.set(turn);
                *lock() = true;
                turned.notify_all();
            }
            match decision {
                (true, at) if at < turn => _ = before.fetch_add(1, Ordering::Relaxed),
                (true, _) => then += 1,
                (false, at) if at < turn => {
                    drop(turned.wait_while(lock(), |has_turned| !*has_turned).unwrap_or_else(PoisonError::into_inner));
                }
                (false, _) => return then,
            }
        }
    });
    [before.into_inner(), then]
}

#[test]
fn returned_room_is_admitted_exactly_at_the_rollover() {
    for strategy in strategies(RATE) {
        let (backend, clock) = store();
        let end = clock.now().saturating_add(Duration::from_secs(60)).as_micros();
        for round in 0..times(200, 20_000) {
            let key = Key::from(round);
            let hit = |cost| Hit::new(limit("limit", &strategy), &key, RATE, cost);
            clock.set(Timestamp::from_micros(end - 1));
            assert!(admits(&backend, &[hit(LIMIT)]));
            let (wait, comes_back) = comes_back(&strategy);
            let admitted = admitted_around(clock.now().saturating_add(wait), &clock, || {
                let decision = decided(&backend, &[hit(1)]);
                (decision.is_admitted(), decision.outcomes()[0].at)
            });
            assert_eq!(admitted, [0, comes_back], "{strategy:?}, round {round}");
        }
    }
}

/// The count and the time of its window change together: no thread adds a charge of the old window to the new count, or
/// the reverse.
#[test]
fn count_and_window_do_not_race_at_the_rollover() {
    let strategy = AnyStrategy::default();
    let (backend, clock) = store();
    let end = clock.now().saturating_add(Duration::from_secs(60)).as_micros();
    for round in 0..times(500, 50_000) {
        let key = Key::from(round);
        let hit = |cost| Hit::new(limit("limit", &strategy), &key, RATE, cost);
        clock.set(Timestamp::from_micros(end - 1));
        // The window that is about to end has room for five.
        assert!(admits(&backend, &[hit(LIMIT - 5)]));
        let [before, then] = admitted_around(Timestamp::from_micros(end), &clock, || {
            let decision = decided(&backend, &[hit(1)]);
            (decision.is_admitted(), decision.outcomes()[0].at)
        });
        assert!(before <= 5 && then == LIMIT, "round {round}: {before} before, {then} then");
    }
}

#[test]
fn tuples_at_the_rollover_charge_all_limits_or_none() {
    for strategy in strategies(RATE) {
        let (backend, clock) = store();
        let end = clock.now().saturating_add(Duration::from_secs(60)).as_micros();
        for round in 0..times(60, 6000) {
            let (alice, bob) = (Key::from(("alice", round)), Key::from(("bob", round)));
            let hit = |key, cost| Hit::new(limit("limit", &strategy), key, RATE, cost);
            clock.set(Timestamp::from_micros(end - 1));
            assert!(admits(&backend, &[hit(&alice, LIMIT), hit(&bob, LIMIT)]));
            let (wait, comes_back) = comes_back(&strategy);
            let admitted = admitted_around(clock.now().saturating_add(wait), &clock, || {
                let decision = decided(&backend, &[hit(&alice, 1), hit(&bob, 1)]);
                (decision.is_admitted(), decision.outcomes()[0].at)
            });
            assert_eq!(admitted, [0, comes_back], "{strategy:?}, round {round}");
            // Both limits have the same amount left.
            assert!(!admits(&backend, &[hit(&alice, 1)]) && !admits(&backend, &[hit(&bob, 1)]));
        }
    }
}
