//! Bytes of the store are a state or an error, and no strategy panics on the state. A state that is packed is read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use traffik_core::{
    Rate,
    clock::Timestamp,
    decision::{LimitStatus, Outcome},
    strategy::{
        AnyStrategy, Concurrency, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SlidingWindowCounter,
        SlidingWindowLog, StoredState, Strategy, TokenBucket,
    },
};
use traffik_redis::fuzzing::{pack, unpack};

fn strategies(rate: Rate) -> Vec<AnyStrategy> {
    let all: [AnyStrategy; 10] = [
        FixedWindow.into(),
        SlidingWindowCounter.into(),
        SlidingWindowLog.into(),
        Concurrency.into(),
        TokenBucket::new().into(),
        TokenBucket::new().debt(rate.limit() / 3).into(),
        LeakyBucket::new().into(),
        Gcra::new().into(),
        LeakyBucketWithQueue::new().queue(rate.limit() / 2 + 1).into(),
        AnyStrategy::custom(FixedWindow),
    ];
    all.into_iter().filter(|strategy| strategy.check(rate).is_ok()).collect()
}

/// Reads a number from the end of the input.
fn number(input: &mut &[u8]) -> Option<u64> {
    let (rest, last) = input.split_last_chunk()?;
    *input = rest;
    Some(u64::from_le_bytes(*last))
}

fn check(strategy: &AnyStrategy, past: &StoredState, rate: Rate, cost: u64, now: Timestamp) {
    let before = strategy.current(Some(past.clone()), now);
    let verdict = strategy.decide(Some(past.clone()), rate, cost, now);
    if !verdict.admitted {
        // A refusal changes nothing, but for a clock that went back.
        assert_eq!((&verdict.past, verdict.is_new), (&before.past, before.is_rewound), "{strategy:?}");
    }
    let outcome = Outcome::new(verdict.admitted, cost, now).with_past(verdict.past.clone());
    let status = LimitStatus::new(strategy, rate, &outcome);
    let _ = (status.remaining(), status.retry_after(), status.more_after(), status.reset_after(), status.delay());
    let past = before.past.as_ref();
    if let Some(past) = past {
        let _ = strategy.summary(past, rate, cost, now);
    }
    let available = strategy.available(past, rate, now);
    assert!(available <= strategy.capacity(rate), "{strategy:?}: {available} are available");
    assert_eq!(verdict.admitted, cost <= available, "{strategy:?}: {available} are available, and the cost is {cost}");
    for actual in [0, cost / 2, cost.saturating_add(1)] {
        let _ = strategy.settle(before.past.clone(), rate, cost, actual, now, now);
    }
    let _ = strategy.renew(before.past, rate, cost, now, now);
}

// The stored bytes, then a cost, a time and a rate.
fuzz_target!(|input: &[u8]| {
    let mut input = input;
    let numbers = [number(&mut input), number(&mut input), number(&mut input), number(&mut input)];
    let [Some(cost), Some(now), Some(limit), Some(period)] = numbers else { return };
    let Some(past) = unpack(input) else { return };
    let (cost, now) = (cost >> (cost % 64), Timestamp::from_micros(now));
    let rate = Rate::new(limit % Rate::MAX_LIMIT + 1, std::time::Duration::from_micros(period % 4_320_000_000_000 + 1));
    for rate in [past.rate, rate.unwrap()].into_iter().filter(|rate| !rate.is_unlimited()) {
        for strategy in strategies(rate) {
            check(&strategy, &past, rate, cost, now);
            let written = past.state.expires();
            check(&strategy, &past, rate, cost, Timestamp::from_micros(written.as_micros().saturating_sub(cost)));
            if let Some(packed) = pack(&strategy, &past)
                && packed.first() == input.first()
            {
                let again = unpack(&packed).expect("what was packed is a state");
                assert_eq!(again.rate, past.rate);
                assert_eq!((again.state.expires(), again.state.words()), (past.state.expires(), past.state.words()));
                assert_eq!(pack(&strategy, &again), Some(packed), "{strategy:?}");
            }
        }
    }
});
