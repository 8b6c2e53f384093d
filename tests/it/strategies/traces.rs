//! Random traces: each strategy gives exactly the answers of its model.

use traffik::{
    Rate,
    decision::Outcome,
    strategy::{
        AnyStrategy, Concurrency, FixedWindow, Gcra, LeakyBucket, SlidingWindowCounter, SlidingWindowLog, Strategy,
        TokenBucket,
    },
};

use super::{
    Result,
    random::Random,
    rig::{Rig, micros},
};
use crate::{
    model::{
        self, ConcurrencyModel, FixedWindowModel, Model, SlidingWindowCounterModel, SlidingWindowLogModel,
        TokenBucketModel,
    },
    patience::times,
};

const STEPS: u64 = 60;

/// The number of traces: 36,000 steps for each strategy, and a hundred times as many with `TRAFFIK_LONG`.
fn traces() -> std::ops::Range<u64> {
    0..times(600, 60_000)
}

/// A cost that replaces one that was `charged`, or is as much as a limit may be overdrawn by.
fn actual(random: &mut Random, charged: u64) -> u64 {
    let most: u64 = random.pick(&[1 << 47, 65_536], 0);
    match random.upto(9) {
        0 | 1 => 0,
        2 => charged.saturating_sub(1),
        3 => charged.saturating_add(1),
        4 | 5 => random.upto(charged),
        6 => charged.saturating_add(random.of_any_size(charged)),
        7 => most.saturating_sub(random.upto(2)).saturating_add(1),
        8 => random.of_any_size(u64::MAX),
        _ => charged,
    }
}

/// One client's requests at one rate, and settlements of what was charged.
pub(super) async fn follow(
    strategy: AnyStrategy,
    rate: Rate,
    mut model: impl Model,
    mut random: Random,
    trace: &str,
) -> Result {
    let rig = Rig::new(strategy, random.of_any_size(2_000_000_000_000_000));
    let (capacity, mut remaining, mut turns, mut charged) =
        (model.capacity(), model.capacity(), vec![0], Vec::<Outcome>::new());
    for step in 0..STEPS {
        rig.go_to(random.later(rig.now(), rate, &turns));
        let (cost, now) = (random.cost(remaining, capacity), rig.now());

        if random.upto(2) == 0
            && let Some(charge) = charged.pop()
        {
            let actual = actual(&mut random, charge.cost);
            if let Some(is_possible) = model.settle(charge.cost, actual, charge.at.as_micros(), now) {
                let settled = rig.settle(rate, &charge, actual).await?;
                let found = settled.as_ref().ok().map(|outcome| rig.answer(rate, outcome));
                let expected = is_possible.then(|| model::answer(&model, true, actual, now));
                assert_eq!(
                    found, expected,
                    "{trace}, step {step}: {charge:?} settled to {actual} at {now} us, {:?} at {rate}",
                    rig.strategy
                );
            }
        }

        let outcome = rig.decide(rate, cost).await?;
        let answer = rig.answer(rate, &outcome);
        charged.extend(Some(outcome).filter(|outcome| outcome.admitted && random.upto(1) == 0));
        let expected = model::hit(&mut model, cost, now);
        assert_eq!(
            answer, expected,
            "{trace}, step {step}: a cost of {cost} at {now} us, {:?} at {rate}",
            rig.strategy
        );

        remaining = answer.remaining;
        let waits = [answer.retry_after, answer.more_after, Some(answer.reset_after)];
        turns = waits.into_iter().flatten().map(micros).collect();
    }
    Ok(())
}

#[tokio::test]
async fn fixed_window_equals_its_model() -> Result {
    for seed in traces() {
        let mut random = Random::new(seed);
        let rate = random.rate();
        let model = FixedWindowModel::new(rate.limit(), rate.period_micros());
        follow(FixedWindow.into(), rate, model, random, &format!("seed {seed}")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn sliding_window_counter_equals_its_model() -> Result {
    for seed in traces() {
        let mut random = Random::new(seed);
        let rate = random.rate();
        let model = SlidingWindowCounterModel::new(rate.limit(), rate.period_micros());
        follow(SlidingWindowCounter.into(), rate, model, random, &format!("seed {seed}")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn sliding_window_log_equals_its_model() -> Result {
    for seed in traces() {
        let mut random = Random::new(seed);
        let rate = random.rate();
        // If the limit is too high for a log, any rate that works.
        let limit = if SlidingWindowLog.check(rate).is_ok() { rate.limit() } else { random.of_any_size(65_536) };
        let rate = Rate::new(limit, rate.period()).unwrap_or(rate);
        let model = SlidingWindowLogModel::new(rate.limit(), rate.period_micros());
        follow(SlidingWindowLog.into(), rate, model, random, &format!("seed {seed}")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn concurrency_limit_equals_its_model() -> Result {
    for seed in traces() {
        let mut random = Random::new(seed);
        let rate = random.rate();
        let limit = random.of_any_size(Concurrency::MAX_PLACES.min(rate.limit()));
        let rate = Rate::new(limit, rate.period().max(Concurrency::MIN_LEASE)).unwrap_or(Rate::literal("1/s"));
        follow(Concurrency.into(), rate, ConcurrencyModel::new(rate), random, &format!("seed {seed}")).await?;
    }
    Ok(())
}

/// Returns a strategy whose meter holds `size`, if that works with the rate.
type OfSize = fn(u64, &mut Random) -> AnyStrategy;

/// Checks strategies that are buckets of some size under any name.
async fn buckets(of_size: OfSize) -> Result {
    for seed in traces() {
        let mut random = Random::new(seed);
        let rate = random.rate();
        let size = match random.upto(3) {
            0 => rate.limit(),
            1 => random.of_any_size(rate.limit()),
            2 => rate.limit().saturating_mul(2).saturating_sub(random.upto(rate.limit())),
            _ => random.of_any_size(Rate::MAX_LIMIT),
        };
        let is_allowed = of_size(size, &mut random).check(rate).is_ok();
        let size = if is_allowed { size } else { rate.limit() };
        let model = TokenBucketModel::new(rate.limit(), rate.period_micros(), size);
        follow(of_size(size, &mut random), rate, model, random, &format!("seed {seed}")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn token_bucket_equals_its_model() -> Result {
    buckets(|size, _| TokenBucket::new().burst(size).into()).await
}

#[tokio::test]
async fn token_bucket_with_debt_equals_a_larger_one() -> Result {
    buckets(|size, random| {
        let debt = random.upto(size - 1);
        TokenBucket::new().burst(size - debt).debt(debt).into()
    })
    .await
}

#[tokio::test]
async fn leaky_bucket_equals_its_model() -> Result {
    buckets(|size, _| LeakyBucket::new().capacity(size).into()).await
}

#[tokio::test]
async fn gcra_equals_its_model() -> Result {
    buckets(|size, _| Gcra::new().burst(size).into()).await
}
