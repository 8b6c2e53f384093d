//! A refusal changes nothing, and its `retry_after` is exact.

use std::time::Duration;

use traffik::strategy::Strategy;

use super::{
    RATES, Result, all_strategies,
    random::Random,
    rig::{Rig, micros},
};

/// Charges at random and leaves the clock at the time of the last charge.
pub(super) async fn warmed_up(rig: &Rig, rate: traffik::Rate, random: &mut Random) -> Result {
    let capacity = rig.strategy.capacity(rate);
    for _ in 0..6 {
        rig.go_to(random.later(rig.now(), rate, &[0]));
        let remaining = rig.remaining(rate).await?;
        rig.decide(rate, random.cost(remaining, capacity)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn refusal_changes_nothing() -> Result {
    let mut refusals = 0;
    for (seed, &rate) in (1..).zip(RATES) {
        let mut random = Random::new(seed);
        for strategy in all_strategies(rate) {
            let (capacity, rig) = (strategy.capacity(rate), Rig::new(strategy, 1_700_000_000_000_000));
            for _ in 0..20 {
                warmed_up(&rig, rate, &mut random).await?;
                let remaining = rig.remaining(rate).await?;
                for cost in [remaining + 1, capacity, capacity + 1, u64::MAX] {
                    if cost <= remaining {
                        continue;
                    }
                    let before = rig.peek(rate, cost).await?;
                    let refused = rig.decide(rate, cost).await?;
                    assert!(!refused.admitted);
                    // The comparison includes the stored state and its expiry.
                    assert_eq!(refused, before);
                    assert_eq!(rig.peek(rate, cost).await?, before);
                    refusals += 1;
                }
            }
        }
    }
    assert!(refusals > 3000, "{refusals}");
    Ok(())
}

#[tokio::test]
async fn refused_cost_is_admitted_at_retry_after_and_not_before() -> Result {
    for (seed, &rate) in (1..).zip(RATES) {
        let mut random = Random::new(seed);
        for strategy in all_strategies(rate) {
            let (capacity, rig) = (strategy.capacity(rate), Rig::new(strategy, 1_700_000_000_000_000));
            for _ in 0..20 {
                warmed_up(&rig, rate, &mut random).await?;
                let remaining = rig.remaining(rate).await?;
                let cost = random.cost(remaining, capacity).clamp(1, capacity).max(remaining + 1);
                let (refused, now) = (rig.decide(rate, cost).await?, rig.now());
                let Some(wait) = rig.standing(rate, &refused).retry_after() else {
                    assert!(refused.admitted || cost > capacity);
                    continue;
                };
                let retry = now + micros(wait);

                rig.go_to(retry - 1);
                let just_before = rig.decide(rate, cost).await?;
                assert!(!just_before.admitted, "{:?} at {rate}, {cost}", rig.strategy);
                assert_eq!(rig.standing(rate, &just_before).retry_after(), Some(Duration::from_micros(1)));

                rig.go_to(retry);
                assert!(rig.decide(rate, cost).await?.admitted, "{:?} at {rate}, {cost}", rig.strategy);
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn cost_above_the_limit_is_refused_without_a_retry_after() -> Result {
    for &rate in RATES {
        for strategy in all_strategies(rate) {
            let (capacity, rig) = (strategy.capacity(rate), Rig::new(strategy, 1_700_000_000_000_000));
            for cost in [capacity + 1, capacity * 2, u64::MAX] {
                let answer = rig.answer(rate, &rig.decide(rate, cost).await?);
                assert!(!answer.admitted && answer.is_never_possible);
                assert_eq!((answer.retry_after, answer.remaining), (None, capacity));
            }
            assert!(rig.backend.is_empty(), "a refusal stores nothing");
        }
    }
    Ok(())
}
