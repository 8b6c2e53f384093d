//! A clock that goes back opens no limit, and locks out no client longer than the limit does.

use std::time::Duration;

use tests::Refill;
use traffik::{
    Rate,
    strategy::{Strategy, TokenBucket},
};

use super::{
    RATES, Result, all_strategies,
    random::Random,
    refusals::warmed_up,
    rig::{Rig, micros},
};

const START: u64 = 1_700_000_000_000_000;

/// The steps back of the clock, one after the other.
fn jumps(random: &mut Random, rate: Rate) -> [u64; 7] {
    let period = rate.period_micros();
    [1, random.upto(1000), random.upto(period), period, 3 * period, random.of_any_size(START / 4), START / 4]
}

/// Charges all that is left, sometimes advances the clock, and returns a refused cost with the longest wait that the
/// client may have from then on, whatever the clock does.
async fn used_up(
    rig: &Rig,
    rate: Rate,
    random: &mut Random,
) -> std::result::Result<(u64, Duration), super::BackendError> {
    warmed_up(rig, rate, random).await?;
    let more = rig.standing(rate, &rig.peek(rate, 1).await?).more_after().unwrap_or_default();
    rig.go_to(rig.now() + micros(more));
    let charged = rig.decide(rate, rig.remaining(rate).await?).await?;
    assert!(charged.admitted && charged.cost > 0);
    let cost = random.of_any_size(rig.strategy.capacity(rate));

    let longest = match Refill::of(&rig.strategy) {
        Refill::AtWindowEnd | Refill::ByCharge => rate.period(),
        Refill::OverNextWindow => rate.period() * 2,
        Refill::Evenly => rig.standing(rate, &rig.peek(rate, cost).await?).retry_after().unwrap_or_default(),
    };
    let refused = rig.standing(rate, &charged).more_after().map_or(0, micros);
    rig.go_to(rig.now() + random.upto(refused.saturating_sub(1)));
    Ok((cost, longest))
}

#[tokio::test]
async fn clock_that_goes_back_opens_no_limit() -> Result {
    for (seed, &rate) in (100..).zip(RATES) {
        let mut random = Random::new(seed);
        for strategy in all_strategies(rate) {
            let rig = Rig::new(strategy, START);
            let (cost, _) = used_up(&rig, rate, &mut random).await?;
            for back in jumps(&mut random, rate) {
                let remaining = rig.remaining(rate).await?;
                rig.go_to(rig.now() - back.min(rig.now()));
                assert!(rig.remaining(rate).await? <= remaining, "{:?} at {rate}, {back} us back", rig.strategy);
                assert!(!rig.peek(rate, cost).await?.admitted);
                assert!(!rig.decide(rate, cost).await?.admitted);
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn clock_that_goes_back_locks_out_no_longer_than_the_limit() -> Result {
    for (seed, &rate) in (200..).zip(RATES) {
        let mut random = Random::new(seed);
        for strategy in all_strategies(rate) {
            let rig = Rig::new(strategy, START);
            let (cost, longest) = used_up(&rig, rate, &mut random).await?;
            for back in jumps(&mut random, rate) {
                rig.go_to(rig.now() - back.min(rig.now()));
                let refused = rig.decide(rate, cost).await?;
                let wait = rig.standing(rate, &refused).retry_after().unwrap_or(Duration::MAX);
                assert!(wait <= longest, "{:?} at {rate}, {back} us back: {wait:?}, {longest:?}", rig.strategy);

                // The reported wait is exact.
                let now = rig.now();
                rig.go_to(now + micros(wait) - 1);
                assert!(!rig.peek(rate, cost).await?.admitted);
                rig.go_to(now + micros(wait));
                assert!(rig.peek(rate, cost).await?.admitted);
                rig.go_to(now);
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn peek_under_a_clock_that_goes_back_changes_no_state() -> Result {
    for (seed, &rate) in (300..).zip(RATES) {
        let mut random = Random::new(seed);
        for strategy in all_strategies(rate) {
            let rig = Rig::new(strategy, START);
            let (cost, _) = used_up(&rig, rate, &mut random).await?;
            let (before, now) = (rig.peek(rate, cost).await?, rig.now());
            for back in jumps(&mut random, rate) {
                rig.go_to(now - back);
                rig.peek(rate, cost).await?;
            }
            rig.go_to(now);
            assert_eq!(rig.peek(rate, cost).await?, before);
        }
    }
    Ok(())
}

#[tokio::test]
async fn token_bucket_keeps_its_refill_when_the_clock_goes_back() -> Result {
    let rate = Rate::literal("7/s");
    let rig = Rig::new(TokenBucket::new().into(), START);
    rig.decide(rate, 7).await?;
    let wait = rig.standing(rate, &rig.peek(rate, 3).await?).retry_after();
    assert_eq!(wait, Some(Duration::from_micros(428_572)));

    for back in [1, 1000, 1_000_000, 86_400_000_000, START] {
        rig.go_to(START - back);
        let refused = rig.decide(rate, 3).await?;
        assert_eq!(rig.standing(rate, &refused).retry_after(), wait, "{back} us back");
    }
    Ok(())
}
