//! Charges whose actual cost is known later.

use std::time::Duration;

use tests::configured_strategies;
use traffik::{
    Rate,
    backend::Backend,
    strategy::{
        AnyStrategy, Concurrency, FixedWindow, LeakyBucketWithQueue, SettleError, SlidingWindowCounter,
        SlidingWindowLog, Strategy, TokenBucket,
    },
};

use super::{
    RATES, Result, all_strategies,
    random::Random,
    refunds::{RATE, SECOND, START, assert_same},
    rig::{Rig, micros},
};
use crate::patience::times;

/// Those that count amounts.
fn divisible(rate: Rate) -> impl Iterator<Item = AnyStrategy> {
    configured_strategies(rate).into_iter().filter(|strategy| *strategy != Concurrency.into())
}

/// The expected client was charged the actual cost in the first place. Both admit the same from then on.
#[tokio::test]
async fn lower_settlement_never_leaves_less_used_than_a_charge_of_the_actual_cost() -> Result {
    let mut lowered = 0;
    for seed in 0..times(120, 12_000) {
        let mut random = Random::new(seed);
        let rate = random.rate();
        for strategy in divisible(rate) {
            let (rig, expected) = (Rig::new(strategy.clone(), START), Rig::new(strategy, START));
            let (mut charge, steps) = (None, random.upto(6));
            for step in 0..12 {
                let now = random.later(rig.now(), rate, &[0]);
                [&rig, &expected].iter().for_each(|rig| rig.go_to(now));
                let left = rig.remaining(rate).await?;
                let cost = random.cost(left, rig.strategy.capacity(rate)).min(left);
                let charged = rig.decide(rate, cost).await?;
                let is_settled = step == steps && cost > 0;
                let actual = if is_settled { random.upto(cost - 1) } else { cost };
                assert!(charged.admitted && expected.decide(rate, actual).await?.admitted);
                charge = if is_settled { Some((charged, actual)) } else { charge };
                if random.upto(3) == 0
                    && let Some((charged, actual)) = charge.take()
                {
                    rig.settle(rate, &charged, actual).await?.expect("a lower cost can be stored");
                    lowered += 1;
                }
                let [after, exact] = [rig.peek(rate, 1).await?, expected.peek(rate, 1).await?];
                let [after, exact] = [rig.answer(rate, &after), expected.answer(rate, &exact)];
                let context = format!("seed {seed}, step {step}: {:?} at {rate}: {after:?}, {exact:?}", rig.strategy);
                assert!(after.remaining <= exact.remaining && after.reset_after >= exact.reset_after, "{context}");
            }
        }
    }
    assert!(lowered > 500, "{lowered}");
    Ok(())
}

#[tokio::test]
async fn settlement_to_the_same_cost_changes_nothing() -> Result {
    for &rate in RATES {
        for strategy in all_strategies(rate) {
            let (rig, expected) = (Rig::new(strategy.clone(), START), Rig::new(strategy, START));
            for wait in [0, rate.period_micros() / 3, rate.period_micros() * 3] {
                let charged = rig.decide(rate, 1).await?;
                expected.decide(rate, 1).await?;
                [&rig, &expected].iter().for_each(|rig| rig.go_to(rig.now() + wait));
                assert!(rig.settle(rate, &charged, charged.cost).await?.is_ok());
                assert_same(&rig, &expected, rate).await?;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn overdraft_blocks_until_it_is_worked_off() -> Result {
    for rate in [RATE, Rate::literal("7/s"), Rate::literal("97/10007us"), Rate::literal("1000/500ms")] {
        for strategy in divisible(rate) {
            for (part, start) in [(0, START), (3, START + rate.period_micros() / 7)] {
                let rig = Rig::new(strategy.clone(), start);
                let capacity = rig.strategy.capacity(rate);
                let charged = rig.decide(rate, capacity).await?;
                rig.go_to(start + rate.period_micros() * part / 4);
                let settled = rig.settle(rate, &charged, capacity * 3 + 1).await?.expect("it can be stored");
                let context = rig.answer(rate, &settled);
                let [refused, later] = [rig.decide(rate, 1).await?, rig.decide(rate, capacity).await?];
                let (one, all) = (rig.answer(rate, &refused), rig.answer(rate, &later));
                assert_eq!(
                    (context.remaining, context.more_after, context.reset_after),
                    (0, one.retry_after, one.reset_after)
                );
                for (cost, answer) in [(1, one), (capacity, all)] {
                    let wait = answer.retry_after.expect("it is refused");
                    rig.go_to(settled.at.as_micros() + micros(wait) - 1);
                    assert!(!rig.peek(rate, cost).await?.admitted, "{:?} at {rate}", rig.strategy);
                    rig.go_to(settled.at.as_micros() + micros(wait));
                    assert!(rig.peek(rate, cost).await?.admitted, "{:?} at {rate}", rig.strategy);
                }
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn overdraft_of_a_sliding_window_counter_reaches_into_the_next_window() -> Result {
    let rig = Rig::new(SlidingWindowCounter.into(), START - 20 * SECOND);
    let charged = rig.decide(RATE, 60).await?;
    assert!(rig.settle(RATE, &charged, 180).await?.is_ok());
    // A third of the 180 counts once 40 s of the next minute have passed.
    let refused = rig.decide(RATE, 1).await?;
    let wait = rig.answer(RATE, &refused).retry_after.map(|wait| wait.as_secs());
    assert_eq!(wait, Some(100));
    Ok(())
}

#[tokio::test]
async fn settlement_after_the_window_gives_back_nothing_and_charges_more_now() -> Result {
    for strategy in [AnyStrategy::from(FixedWindow), SlidingWindowLog.into(), TokenBucket::new().into()] {
        let rig = Rig::new(strategy, START);
        let (first, second) = (rig.decide(RATE, 30).await?, rig.decide(RATE, 30).await?);
        rig.go_to(START + 60 * SECOND);
        assert!(rig.settle(RATE, &first, 10).await?.is_ok());
        assert_eq!(rig.remaining(RATE).await?, 60);
        assert!(rig.settle(RATE, &second, 35).await?.is_ok());
        assert_eq!(rig.remaining(RATE).await?, 55);
    }
    Ok(())
}

#[tokio::test]
async fn part_that_stays_in_a_bucket_drains_first() -> Result {
    // After 10 s ten of the 50 that stay have drained, and after 30 s ten more than the 20 that stay.
    for (second, actual, left) in [(10, 50, 20), (30, 20, 60)] {
        let rig = Rig::new(TokenBucket::new().into(), START);
        let charged = rig.decide(RATE, 60).await?;
        rig.go_to(START + second * SECOND);
        assert!(rig.settle(RATE, &charged, actual).await?.is_ok());
        assert_eq!(rig.remaining(RATE).await?, left);
    }
    Ok(())
}

#[tokio::test]
async fn settlement_that_fails_changes_nothing() -> Result {
    for &rate in RATES {
        for strategy in configured_strategies(rate) {
            let (rig, expected) = (Rig::new(strategy.clone(), START), Rig::new(strategy.clone(), START));
            let charged = rig.decide(rate, 1).await?;
            expected.decide(rate, 1).await?;
            [&rig, &expected].iter().for_each(|rig| rig.go_to(START + rate.period_micros() / 5));
            let failed = rig.settle(rate, &charged, u64::MAX).await?;
            let is_expected = match failed {
                Err(SettleError::Indivisible { strategy: name }) => name == "concurrency",
                Err(SettleError::TooMuch { strategy: name, actual: u64::MAX, .. }) => name == strategy.name(),
                _ => false,
            };
            assert!(is_expected, "{strategy:?} at {rate}: {failed:?}");
            assert_same(&rig, &expected, rate).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn failed_settlement_of_an_unknown_client_stores_nothing() -> Result {
    for strategy in configured_strategies(RATE) {
        let rig = Rig::new(strategy, START);
        let charged = rig.decide(RATE, 1).await?;
        rig.backend.clear().await?;
        assert!(rig.settle(RATE, &charged, u64::MAX).await?.is_err());
        assert!(rig.backend.is_empty());
    }
    Ok(())
}

#[tokio::test]
async fn permit_is_given_back_as_a_whole_or_not_at_all() -> Result {
    let rig = Rig::new(Concurrency.into(), START);
    let charged = rig.decide(RATE, 5).await?;
    for actual in [4, 6, 1] {
        assert_eq!(
            rig.settle(RATE, &charged, actual).await?,
            Err(SettleError::Indivisible { strategy: "concurrency" })
        );
        assert_eq!(rig.remaining(RATE).await?, 55);
    }
    assert!(rig.settle(RATE, &charged, 0).await?.is_ok());
    assert_eq!(rig.remaining(RATE).await?, 60);
    Ok(())
}

#[tokio::test]
async fn queue_lowers_only_a_charge_that_is_alone() -> Result {
    let queue = || Rig::new(LeakyBucketWithQueue::new().queue(9).into(), START);
    let rig = queue();
    let charged = rig.decide(RATE, 5).await?;
    rig.go_to(START + SECOND);
    assert!(rig.settle(RATE, &charged, 3).await?.is_ok());
    assert_eq!(rig.remaining(RATE).await?, 8, "two of the three are still to drain");

    let rig = queue();
    let charged = rig.decide(RATE, 5).await?;
    rig.decide(RATE, 1).await?;
    assert!(rig.settle(RATE, &charged, 3).await?.is_ok());
    assert_eq!(rig.remaining(RATE).await?, 4);
    Ok(())
}

#[tokio::test]
async fn overdraft_of_a_queue_delays_those_that_come_after_it() -> Result {
    let rig = Rig::new(LeakyBucketWithQueue::new().queue(9).into(), START);
    let delay = |outcome| rig.standing(RATE, &outcome).delay();
    let first = rig.decide(RATE, 1).await?;
    assert_eq!(delay(rig.decide(RATE, 1).await?), Duration::from_secs(1));
    assert!(rig.settle(RATE, &first, 4).await?.is_ok());
    assert_eq!(delay(rig.decide(RATE, 1).await?), Duration::from_secs(5));
    Ok(())
}
