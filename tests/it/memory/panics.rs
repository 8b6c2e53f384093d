//! A strategy of somebody's own that panics takes nothing from others.

use std::panic::{AssertUnwindSafe, catch_unwind};

use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    clock::Timestamp,
    decision::Hit,
    strategy::{AnyStrategy, Past, SlidingWindowLog, State, Strategy, StrategyError},
};

use super::{admits, store};

#[derive(Debug)]
struct Panics;

impl Strategy for Panics {
    fn name(&self) -> &'static str {
        "panics"
    }

    fn check(&self, _: Rate) -> Result<(), StrategyError> {
        Ok(())
    }

    fn capacity(&self, rate: Rate) -> u64 {
        rate.limit()
    }

    fn available(&self, _: Option<&Past>, _: Rate, _: Timestamp) -> u64 {
        unreachable!("on purpose")
    }

    fn available_at(&self, _: Option<&Past>, _: Rate, _: u64, now: Timestamp) -> Timestamp {
        now
    }

    fn charge(&self, _: Option<Past>, _: Rate, _: u64, now: Timestamp) -> State {
        State::new(now, [0; 2])
    }

    fn refund(&self, past: Past, _: u64, _: Timestamp, _: Timestamp) -> State {
        past.state
    }

    fn rewound(&self, _: &Past, _: Timestamp) -> Option<State> {
        None
    }
}

#[test]
fn a_panic_beside_a_log_loses_nothing_of_it_and_locks_nobody_out() {
    let (backend, _) = store();
    // One shard, so that whoever comes later meets what the panic left behind.
    let backend = backend.max_entries(100);
    let (log, panics) = (AnyStrategy::from(SlidingWindowLog), AnyStrategy::own(Panics));
    let (alice, bob) = (Key::from("alice"), Key::from("bob"));
    let hit = |uid, key, strategy| Hit { uid, key, strategy, rate: Rate::literal("2/min"), cost: 1 };

    assert!((0..2).all(|_| admits(&backend, &[hit("log", &alice, &log)])));
    let both = [hit("log", &alice, &log), hit("panics", &alice, &panics)];
    for hits in [&both[..], &both[1..]] {
        assert!(catch_unwind(AssertUnwindSafe(|| backend.decide_now(hits))).is_err());
    }
    assert!(!admits(&backend, &[hit("log", &alice, &log)]), "it is over its limit still");
    assert!(admits(&backend, &[hit("log", &bob, &log)]));
}
