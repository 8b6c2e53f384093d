//! Refunds.

use std::time::Duration;

use tests::configured_strategies;
use traffik::{
    Rate,
    backend::Backend,
    strategy::{AnyStrategy, FixedWindow, Gcra, LeakyBucket, SlidingWindowCounter, Strategy, TokenBucket},
};

use super::{RATES, Result, all_strategies, random::Random, rig::Rig};

pub(super) const START: u64 = 1_700_000_000_000_000;
pub(super) const RATE: Rate = Rate::literal("60/min");

/// Returns whether both strategies agree now and later, for small and large costs.
pub(super) async fn assert_same(one: &Rig, other: &Rig, rate: Rate) -> Result {
    let now = one.now();
    for wait in [0, 1, rate.period_micros() / 3, rate.period_micros(), rate.period_micros() * 3 / 2] {
        for rig in [one, other] {
            rig.go_to(now + wait);
        }
        for cost in [1, rate.limit() / 2 + 1, one.strategy.capacity(rate)] {
            let answers =
                (one.answer(rate, &one.peek(rate, cost).await?), other.answer(rate, &other.peek(rate, cost).await?));
            assert_eq!(answers.0, answers.1, "{:?} at {rate}, {wait} us later", one.strategy);
        }
    }
    for rig in [one, other] {
        rig.go_to(now);
    }
    Ok(())
}

#[tokio::test]
async fn immediate_refund_undoes_the_charge() -> Result {
    let mut refunds = 0;
    for (seed, &rate) in (400..).zip(RATES) {
        let mut random = Random::new(seed);
        // A slot in a queue is refunded only if the queue is otherwise empty.
        for strategy in configured_strategies(rate).into_iter().filter(|strategy| strategy.holding().is_none()) {
            let (rig, expected) = (Rig::new(strategy.clone(), START), Rig::new(strategy, START));
            for _ in 0..20 {
                let now = random.later(rig.now(), rate, &[0]);
                let remaining = rig.remaining(rate).await?;
                let cost = random.cost(remaining, rig.strategy.capacity(rate));
                for rig in [&rig, &expected] {
                    rig.go_to(now);
                    rig.decide(rate, cost).await?;
                }
                let extra = random.upto(rig.remaining(rate).await?);
                let charged = rig.decide(rate, extra).await?;
                assert!(charged.admitted);
                rig.refund(rate, &charged).await?;
                assert_same(&rig, &expected, rate).await?;
                refunds += 1;
            }
        }
    }
    assert!(refunds > 1000, "{refunds}");
    Ok(())
}

/// Charges 10, then 20 after `first`; the 10 are refunded after `then`. The expected client is never charged the 10.
pub(super) async fn given_back(
    strategy: impl Into<AnyStrategy>,
    first: u64,
    then: u64,
) -> std::result::Result<[Rig; 2], super::BackendError> {
    let strategy = strategy.into();
    // A minute begins at `START - 20 s`.
    let (rig, expected) = (Rig::new(strategy.clone(), START), Rig::new(strategy, START));
    let charged = rig.decide(RATE, 10).await?;
    for rig in [&rig, &expected] {
        rig.go_to(START + first);
        rig.decide(RATE, 20).await?;
        rig.go_to(START + first + then);
    }
    rig.refund(RATE, &charged).await?;
    Ok([rig, expected])
}

pub(super) const SECOND: u64 = 1_000_000;

#[tokio::test]
async fn fixed_window_refunds_all_within_the_window() -> Result {
    let [rig, expected] = given_back(FixedWindow, 20 * SECOND, 20 * SECOND - 1).await?;
    assert_same(&rig, &expected, RATE).await
}

#[tokio::test]
async fn fixed_window_refunds_nothing_after_the_rollover() -> Result {
    let [rig, expected] = given_back(FixedWindow, 40 * SECOND, 1).await?;
    assert_same(&rig, &expected, RATE).await?;
    assert_eq!(rig.remaining(RATE).await?, 40);
    Ok(())
}

#[tokio::test]
async fn sliding_window_counter_refunds_all_while_it_counts() -> Result {
    for (first, then) in [(20, 10), (40, 10), (50, 49), (20, 70)] {
        let [rig, expected] = given_back(SlidingWindowCounter, first * SECOND, then * SECOND).await?;
        assert_same(&rig, &expected, RATE).await?;
    }
    Ok(())
}

#[tokio::test]
async fn sliding_window_counter_refunds_nothing_after_it_counts() -> Result {
    // The 20 were charged two windows after the 10.
    let [rig, _] = given_back(SlidingWindowCounter, 100 * SECOND, 0).await?;
    assert_eq!(rig.remaining(RATE).await?, 40);
    Ok(())
}

/// The three strategies with one meter, with room for 60.
fn buckets() -> [AnyStrategy; 3] {
    [TokenBucket::new().into(), LeakyBucket::new().into(), Gcra::new().burst(60).into()]
}

#[tokio::test]
async fn bucket_refunds_what_has_not_drained() -> Result {
    for strategy in buckets() {
        let rig = Rig::new(strategy, START);
        rig.decide(RATE, 30).await?;
        let charged = rig.decide(RATE, 10).await?;
        rig.go_to(START + 9 * SECOND);
        assert_eq!(rig.remaining(RATE).await?, 29);
        // One unit comes back per second: nine of the ten may have.
        rig.refund(RATE, &charged).await?;
        assert_eq!(rig.remaining(RATE).await?, 30);

        rig.go_to(START + 120 * SECOND);
        rig.refund(RATE, &charged).await?;
        let full = rig.answer(RATE, &rig.peek(RATE, 1).await?);
        assert_eq!((full.remaining, full.reset_after, full.more_after), (60, Duration::ZERO, None));
    }
    Ok(())
}

#[tokio::test]
async fn bucket_that_refilled_refunds_nothing() -> Result {
    for strategy in buckets() {
        let rig = Rig::new(strategy, START);
        let charged = rig.decide(RATE, 30).await?;
        rig.go_to(START + 30 * SECOND);
        assert!(rig.decide(RATE, 60).await?.admitted);
        rig.refund(RATE, &charged).await?;
        assert_eq!(rig.remaining(RATE).await?, 0);
    }
    Ok(())
}

#[tokio::test]
async fn refund_returns_at_most_the_charge() -> Result {
    for &rate in RATES {
        for strategy in all_strategies(rate) {
            let (capacity, rig) = (strategy.capacity(rate), Rig::new(strategy, START));
            let charged = rig.decide(rate, capacity).await?;
            for _ in 0..3 {
                rig.refund(rate, &charged).await?;
            }
            let answer = rig.answer(rate, &rig.peek(rate, 1).await?);
            assert_eq!((answer.remaining, answer.reset_after), (capacity, Duration::ZERO));
            assert!(rig.decide(rate, capacity).await?.admitted);
            assert!(!rig.decide(rate, 1).await?.admitted);
        }
    }
    Ok(())
}

#[tokio::test]
async fn refund_without_an_entry_changes_nothing() -> Result {
    for &rate in RATES {
        for strategy in all_strategies(rate) {
            let (capacity, rig) = (strategy.capacity(rate), Rig::new(strategy, START));
            let charged = rig.decide(rate, 1).await?;
            rig.backend.clear().await?;
            rig.refund(rate, &charged).await?;
            assert!(rig.backend.is_empty());
            assert_eq!(rig.remaining(rate).await?, capacity);
        }
    }
    Ok(())
}

#[tokio::test]
async fn refund_does_not_extend_an_entry() -> Result {
    for &rate in RATES {
        for strategy in all_strategies(rate) {
            let rig = Rig::new(strategy, START);
            let charged = rig.decide(rate, 1).await?;
            rig.refund(rate, &charged).await?;
            let expiry = |outcome: traffik::decision::Outcome| outcome.past.map(|past| past.state.expires());
            assert!(expiry(rig.peek(rate, 1).await?) <= expiry(charged));
        }
    }
    Ok(())
}
