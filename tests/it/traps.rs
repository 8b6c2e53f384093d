//! Known mistakes of other rate limiters, one test each. The race of a count and its window at the rollover is in
//! `memory::rollover`, since it needs threads. Those that need a server are in `tests/redis/traps.rs`.

use std::time::Duration;

use tests::{Refill, each_strategy, limit};
use traffik::{
    Rate,
    backend::{Backend, MaybeReady, MemoryBackend},
    client::Key,
    clock::{Clock, Timestamp},
    decision::{Hit, LimitStatus},
    strategy::{AnyStrategy, Strategy},
    test::ManualClock,
};

/// One client of a store.
struct Story {
    backend: MemoryBackend,
    clock: ManualClock,
    alice: Key,
}

impl Story {
    fn new() -> Self {
        let clock = ManualClock::new();
        Self { backend: MemoryBackend::with_clock("test", clock.clone()), clock, alice: Key::from("alice") }
    }

    fn hit<'a>(&'a self, uid: &'a str, strategy: &'a AnyStrategy, rate: Rate, cost: u64) -> Hit<'a> {
        Hit::new(limit(uid, strategy), &self.alice, rate, cost)
    }

    fn admits(&self, hits: &[Hit<'_>]) -> bool {
        matches!(self.backend.decide(hits), MaybeReady::Ready(Ok(decision)) if decision.is_admitted())
    }

    /// Returns the wait of the client.
    fn wait(&self, hit: Hit<'_>) -> Option<Duration> {
        let MaybeReady::Ready(Ok(decision)) = self.backend.decide(&[hit]) else { return None };
        decision
            .outcomes()
            .first()
            .and_then(|outcome| LimitStatus::new(hit.limit.strategy(), hit.rate, outcome).retry_after())
    }
}

#[test]
fn refusal_by_a_later_limit_does_not_charge_an_earlier_one() {
    let (wide, narrow) = (Rate::literal("5/min"), Rate::literal("2/hour"));
    for (first, second) in each_strategy(5).iter().zip(each_strategy(2).iter().rev()) {
        let story = Story::new();
        let both = [story.hit("wide", first, wide, 1), story.hit("narrow", second, narrow, 1)];
        let admitted = (0..100).filter(|_| story.admits(&both)).count();
        assert_eq!(admitted, 2, "{first:?}, {second:?}");
        // After 98 refusals three of five are left.
        assert!(story.admits(&[story.hit("wide", first, wide, 3)]), "{first:?}");
        assert!(!story.admits(&[story.hit("wide", first, wide, 1)]), "{first:?}");
    }
}

#[test]
fn refused_attempts_do_not_extend_the_wait() {
    let rate = Rate::literal("5/min");
    for strategy in &each_strategy(5) {
        let story = Story::new();
        let [patient, impatient] = ["patient", "impatient"].map(|uid| story.hit(uid, strategy, rate, 3));
        for hit in [patient, impatient] {
            assert!(story.admits(&[hit]) && !story.admits(&[hit]));
        }
        let wait = story.wait(patient).unwrap();
        for part in 1..1000 {
            story.clock.advance(wait / 1000);
            assert!(!story.admits(&[impatient]), "{strategy:?}, {part} thousandths");
        }
        story.clock.advance(wait - wait / 1000 * 999);
        assert!(story.admits(&[impatient]) && story.admits(&[patient]), "{strategy:?}");
    }
}

#[test]
fn rate_above_one_per_millisecond_is_exact() {
    let rates = [("2500/s", 2), ("10000/s", 10), ("999983/s", 999), ("1000000/s", 1000), ("10000000/s", 10_000)];
    for (rate, in_a_millisecond) in rates.map(|(rate, count)| (Rate::literal(rate), count)) {
        for strategy in each_strategy(rate.limit()).iter().filter(|strategy| strategy.check(rate).is_ok()) {
            let story = Story::new();
            let of = |cost| story.hit("limit", strategy, rate, cost);
            assert!(story.admits(&[of(rate.limit())]) && !story.admits(&[of(1)]), "{strategy:?} at {rate}");
            let (wait, comes_back) = match Refill::of(strategy) {
                Refill::AtWindowEnd | Refill::ByCharge => (1000, rate.limit()),
                Refill::OverNextWindow => (1001, in_a_millisecond),
                Refill::Evenly => (1, in_a_millisecond),
            };
            story.clock.advance(Duration::from_millis(wait));
            assert!(!story.admits(&[of(comes_back + 1)]), "{strategy:?} at {rate}");
            assert!(story.admits(&[of(comes_back)]) && !story.admits(&[of(1)]), "{strategy:?} at {rate}");
        }
    }
}

#[test]
fn time_stored_in_the_far_future_locks_out_no_client() {
    let rate = Rate::literal("5/min");
    for strategy in &each_strategy(5) {
        let story = Story::new();
        let now = story.clock.now();
        // A clock that is a hundred years ahead and is then corrected.
        story.clock.advance(Duration::from_secs(100 * 365 * 86_400));
        assert!(story.admits(&[story.hit("limit", strategy, rate, 5)]));
        story.clock.set(now);
        let all = story.hit("limit", strategy, rate, 5);
        let wait = story.wait(all).unwrap();
        assert!(wait <= Duration::from_secs(120), "{strategy:?}: {wait:?}");
        story.clock.advance(wait);
        assert!(story.admits(&[all]), "{strategy:?}");
    }
    // A state at the end of time does not lock a client out either.
    let (strategy, story) = (AnyStrategy::default(), Story::new());
    let (now, one) = (story.clock.now(), story.hit("limit", &strategy, rate, 5));
    story.clock.set(Timestamp::from_micros(u64::MAX));
    story.admits(&[one]);
    story.clock.set(now);
    story.admits(&[one]);
    story.clock.advance(Duration::from_secs(60));
    assert!(story.admits(&[one]));
}

#[test]
fn filling_the_store_does_not_reset_a_limit() {
    let rate = Rate::literal("5/hour");
    for strategy in &each_strategy(5) {
        let story = Story::new();
        let backend = MemoryBackend::builder("test").max_entries(100).clock(story.clock.clone()).build().unwrap();
        let story = Story { backend, ..story };
        assert!(story.admits(&[story.hit("limit", strategy, rate, 5)]));
        for address in 0..1000_u64 {
            let stranger = Key::from(address);
            assert!(story.admits(&[Hit::new(limit("limit", strategy), &stranger, rate, 1)]));
            assert!(
                !story.admits(&[story.hit("limit", strategy, rate, 1)]),
                "{strategy:?}: the client was forgotten after {address}"
            );
        }
    }
}

#[test]
fn inactive_clients_are_removed() {
    let rate = Rate::literal("5/min");
    for strategy in &each_strategy(5) {
        let story = Story::new();
        let of = |name, number: u64| {
            let key = Key::from((name, number));
            assert!(story.admits(&[Hit::new(limit("limit", strategy), &key, rate, 1)]));
        };
        // A second after they expired entries are removed before a shard grows, so the store is as large as after two of ten
        // rounds.
        for round in ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"] {
            story.clock.advance(Duration::from_secs(121));
            (0..2000).for_each(|number| of(round, number));
        }
        assert!(story.backend.len() < 4000, "{strategy:?}: {}", story.backend.len());
    }
}

#[test]
fn one_decision_sweeps_a_small_part_of_a_large_store() {
    const EXPIRED: u64 = 200_000;
    let (rate, strategy, story) = (Rate::literal("5/min"), AnyStrategy::default(), Story::new());
    let arrive = |number: u64| {
        let key = Key::from(number);
        assert!(story.admits(&[Hit::new(limit("limit", &strategy), &key, rate, 1)]));
    };
    (0..EXPIRED).for_each(arrive);
    story.clock.advance(Duration::from_secs(120));
    let (mut swept, mut before) = (0, story.backend.len());
    for number in EXPIRED..2 * EXPIRED {
        arrive(number);
        let after = story.backend.len();
        let by_this = before + 1 - after;
        assert!(by_this <= 10_000, "{by_this} of {before}");
        (swept, before) = (swept + by_this, after);
        if swept > 50_000 {
            return;
        }
    }
    panic!("{swept} were removed");
}
