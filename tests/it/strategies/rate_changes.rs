//! A rate that changes while clients use it. Used amounts stay used.

use std::time::Duration;

use traffik::{
    Rate,
    strategy::{AnyStrategy, FixedWindow, SlidingWindowCounter, SlidingWindowLog, Strategy, TokenBucket},
};

use super::{
    Result,
    random::Random,
    refusals::warmed_up,
    rig::{Rig, micros},
};

const START: u64 = 1_700_000_000_000_000;

/// Returns one strategy for each kind of state.
fn kinds() -> [AnyStrategy; 4] {
    [FixedWindow.into(), SlidingWindowCounter.into(), SlidingWindowLog.into(), TokenBucket::new().into()]
}

#[tokio::test]
async fn refused_client_stays_refused_under_a_new_rate() -> Result {
    let rate = Rate::literal("5/min");
    for strategy in kinds() {
        for other in ["5/s", "5/hour", "3/min", "1/30d", "5/61s", "5/59s", "4/us"].map(Rate::literal) {
            let rig = Rig::new(strategy.clone(), START);
            rig.decide(rate, 5).await?;
            let refused = rig.decide(other, 1).await?;
            assert!(!refused.admitted, "{strategy:?}: {rate}, then {other}");

            // The refusal under the other rate does not reset the client either.
            let wait = rig.standing(rate, &rig.peek(rate, 1).await?).retry_after().unwrap_or_default();
            rig.go_to(START + micros(wait) - 1);
            assert!(!rig.decide(other, 1).await?.admitted, "{strategy:?}: {rate}, then {other}");
            assert!(!rig.decide(rate, 1).await?.admitted, "{strategy:?}: {rate}, then {other}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn higher_limit_adds_the_difference() -> Result {
    for strategy in kinds() {
        let rig = Rig::new(strategy, START);
        rig.decide(Rate::literal("5/min"), 4).await?;
        assert_eq!(rig.remaining(Rate::literal("12/min")).await?, 8);
        assert!(rig.decide(Rate::literal("12/min"), 8).await?.admitted);
        assert!(!rig.decide(Rate::literal("12/min"), 1).await?.admitted);
        assert!(!rig.decide(Rate::literal("5/min"), 1).await?.admitted);
    }
    Ok(())
}

#[tokio::test]
async fn fixed_window_runs_to_its_end_under_a_shorter_period() -> Result {
    // 20 s into a minute.
    let rig = Rig::new(FixedWindow.into(), START);
    rig.decide(Rate::literal("5/min"), 5).await?;
    let refused = rig.decide(Rate::literal("5/s"), 5).await?;
    assert_eq!(rig.standing(Rate::literal("5/s"), &refused).retry_after(), Some(Duration::from_secs(40)));
    rig.go_to(START + 40_000_000);
    let admitted = rig.decide(Rate::literal("5/s"), 5).await?;
    assert_eq!(rig.standing(Rate::literal("5/s"), &admitted).reset_after(), Duration::from_secs(1));
    Ok(())
}

#[tokio::test]
async fn charge_at_a_shorter_period_does_not_shorten_a_fixed_window() -> Result {
    let (minute, second) = (Rate::literal("5/min"), Rate::literal("5/s"));
    let rig = Rig::new(FixedWindow.into(), START);
    rig.decide(minute, 3).await?;
    assert!(rig.decide(second, 1).await?.admitted);
    rig.go_to(START + 40_000_000 - 1);
    assert_eq!((rig.remaining(second).await?, rig.remaining(minute).await?), (1, 1));
    rig.go_to(START + 40_000_000);
    assert_eq!(rig.remaining(second).await?, 5);
    Ok(())
}

#[tokio::test]
async fn charge_at_a_shorter_period_keeps_the_used_amount() -> Result {
    // The amount used in a window of a day is not multiplied by its remaining seconds.
    let (day, second) = (Rate::literal("1000/day"), Rate::literal("1000/s"));
    let rig = Rig::new(SlidingWindowCounter.into(), START);
    rig.decide(day, 10).await?;
    let charged = rig.decide(second, 1).await?;
    assert_eq!(rig.standing(second, &charged).remaining(), 989);
    rig.go_to(START + 2_000_000);
    assert_eq!(rig.remaining(second).await?, 1000);
    Ok(())
}

#[tokio::test]
async fn change_of_rate_does_not_lower_the_used_amount() -> Result {
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let (one, other) = (random.rate(), random.rate());
        for strategy in kinds() {
            let rig = Rig::new(strategy, START);
            warmed_up(&rig, one, &mut random).await?;
            for _ in 0..10 {
                let used = rig.strategy.capacity(one) - rig.remaining(one).await?;
                let most = rig.strategy.capacity(other).saturating_sub(used);
                assert!(rig.remaining(other).await? <= most, "seed {seed}, {:?}: {one}, then {other}", rig.strategy);
                rig.go_to(random.later(rig.now(), one, &[0]));
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn charge_under_another_rate_keeps_the_used_amount() -> Result {
    let mut charges = 0;
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let rates = [random.rate(), random.rate()];
        for strategy in kinds() {
            let rig = Rig::new(strategy, START);
            for step in 0..20 {
                let rate = random.pick(&rates, Rate::literal("1/s"));
                rig.go_to(random.later(rig.now(), rate, &[0]));
                let before = rig.remaining(rate).await?;
                let cost = random.cost(before, rig.strategy.capacity(rate));
                let outcome = rig.decide(rate, cost).await?;
                assert_eq!(outcome.admitted, cost <= before);
                if outcome.admitted && cost > 0 {
                    charges += 1;
                    let after = rig.standing(rate, &outcome).remaining();
                    assert_eq!(after, before - cost, "seed {seed}, step {step}, {:?} at {rates:?}", rig.strategy);
                }
            }
        }
    }
    assert!(charges > 5000, "{charges}");
    Ok(())
}

#[tokio::test]
async fn retry_after_is_exact_under_another_rate() -> Result {
    let mut refusals = 0;
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let (one, other) = (random.rate(), random.rate());
        for strategy in kinds() {
            let rig = Rig::new(strategy, START);
            warmed_up(&rig, one, &mut random).await?;
            let remaining = rig.remaining(other).await?;
            let cost = (remaining + 1).min(rig.strategy.capacity(other));
            let refused = rig.decide(other, cost).await?;
            let Some(wait) = rig.standing(other, &refused).retry_after() else { continue };
            let retry = rig.now() + micros(wait);
            rig.go_to(retry - 1);
            assert!(!rig.peek(other, cost).await?.admitted, "seed {seed}, {:?}: {one}, {other}", rig.strategy);
            rig.go_to(retry);
            assert!(rig.peek(other, cost).await?.admitted, "seed {seed}, {:?}: {one}, {other}", rig.strategy);
            refusals += 1;
        }
    }
    assert!(refusals > 300, "{refusals}");
    Ok(())
}

/// Tries any two rates, any two times and any cost. The answer must be plausible.
#[tokio::test]
async fn random_rates_times_and_costs_do_not_panic() -> Result {
    let bounds = [Rate::literal("100000000000000/us"), Rate::literal("1/50d"), Rate::literal("100000000000000/50d")];
    let times = [0, 1, START, u64::MAX / 2, u64::MAX - 1, u64::MAX];
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let burst = random.of_any_size(u64::MAX);
        let mut all = kinds().to_vec();
        all.push(TokenBucket::new().burst(burst).into());
        for strategy in all {
            let rig = Rig::new(strategy, START);
            for _ in 0..20 {
                let rate = if random.upto(1) == 0 { random.rate() } else { random.pick(&bounds, Rate::literal("1/s")) };
                let step = random.of_any_size(u64::MAX);
                rig.go_to(match random.upto(3) {
                    0 => random.pick(&times, 0),
                    1 => rig.now().saturating_add(step),
                    2 => rig.now().saturating_sub(step),
                    _ => rig.now(),
                });
                let capacity = rig.strategy.capacity(rate);
                let cost = random.cost(1, capacity.min(u64::MAX - 1));
                let outcome = rig.decide(rate, cost).await?;
                let answer = rig.answer(rate, &outcome);
                assert!(answer.remaining <= capacity);
                assert_eq!(answer.is_never_possible, cost > capacity);
                rig.refund(rate, &outcome).await?;
                assert!(rig.remaining(rate).await? <= capacity);
            }
        }
    }
    Ok(())
}
