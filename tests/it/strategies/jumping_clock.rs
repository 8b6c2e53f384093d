//! A clock that jumps back and forth at random under all operations. The elapsed time is the sum of its forward steps:
//! no client is admitted more than that allows or refused longer than its limit refuses.

use std::{collections::VecDeque, time::Duration};

use tests::{Refill, configured_strategies};
use traffik::{
    Rate,
    decision::Outcome,
    strategy::{AnyStrategy, Strategy},
};

use super::{
    RATES, Result,
    random::Random,
    rig::{Rig, micros},
};
use crate::patience::times;

const START: u64 = 1_700_000_000_000_000;

/// The events, by the total forward time of the clock.
#[derive(Default)]
struct Course {
    forward: u128,
    back: u128,
    charged: u128,
    given_back: u128,
    /// Returns the charges and the refunds of the last period.
    recent: VecDeque<(u128, u128, u128)>,
}

impl Course {
    fn note(&mut self, charged: u64, given_back: u64, period: u128) {
        let (charged, given_back) = (u128::from(charged), u128::from(given_back));
        self.charged += charged;
        self.given_back += given_back;
        self.recent.push_back((self.forward, charged, given_back));
        while self.recent.front().is_some_and(|(at, ..)| self.forward - at >= period) {
            self.recent.pop_front();
        }
    }

    /// Returns what the strategy allows in all, and in the last period.
    fn assert_allowed(&self, strategy: &AnyStrategy, rate: Rate) {
        let [limit, period, size] = [rate.limit(), rate.period_micros(), strategy.capacity(rate)].map(u128::from);
        let allowed = match Refill::of(strategy) {
            // The first window, the last, those between, and one more for each time that the clock left its windows.
            Refill::AtWindowEnd | Refill::OverNextWindow => limit * (self.forward / period + self.back + 2),
            Refill::ByCharge => limit * (self.forward / period + 1),
            Refill::Evenly => size + self.forward * limit / period,
        };
        assert!(self.charged <= allowed + self.given_back, "{strategy:?} at {rate}: {} of {allowed}", self.charged);
        if Refill::of(strategy) == Refill::ByCharge {
            let charged: u128 = self.recent.iter().map(|(_, charged, _)| charged).sum();
            let given_back: u128 = self.recent.iter().map(|(.., given_back)| given_back).sum();
            assert!(charged <= limit + given_back, "{rate}: {charged} in a period");
        }
    }
}

/// Returns the longest possible wait for `cost`.
fn longest_wait(strategy: &AnyStrategy, rate: Rate, cost: u64) -> Duration {
    match Refill::of(strategy) {
        Refill::AtWindowEnd => Duration::MAX,
        Refill::ByCharge => rate.period(),
        Refill::OverNextWindow => rate.period() * 2,
        // From a full meter down to where the cost fits. With a bound on delays, down to less than that.
        Refill::Evenly => {
            let cost = if strategy.holding().is_some() { strategy.capacity(rate) } else { cost };
            let micros = (u128::from(cost) * u128::from(rate.period_micros())).div_ceil(u128::from(rate.limit()));
            Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
        }
    }
}

async fn follow(strategy: AnyStrategy, rate: Rate, mut random: Random) -> Result {
    let (capacity, rig) = (strategy.capacity(rate), Rig::new(strategy, START));
    let (mut course, mut charges, period) = (Course::default(), Vec::<Outcome>::new(), rate.period_micros());
    for _ in 0..150 {
        let before = rig.now();
        rig.go_to(match random.upto(5) {
            0 => before - random.of_any_size(4 * period).min(before),
            1 => before - random.upto(3).min(before),
            2 => before,
            _ => random.later(before, rate, &[0]),
        });
        course.forward += u128::from(rig.now().saturating_sub(before));
        course.back += u128::from(rig.now() < before);

        let remaining = rig.remaining(rate).await?;
        let cost = random.cost(remaining, capacity).clamp(1, capacity);
        match random.upto(7) {
            0 => {
                rig.peek(rate, cost).await?;
            }
            1 if !charges.is_empty() => {
                let place = random.upto(charges.len() as u64 - 1);
                let charged = charges.swap_remove(usize::try_from(place).unwrap_or_default());
                rig.refund(rate, &charged).await?;
                course.note(0, charged.cost, period.into());
            }
            _ => {
                let outcome = rig.decide(rate, cost).await?;
                assert_eq!(outcome.admitted, cost <= remaining);
                if let Some(wait) = rig.standing(rate, &outcome).retry_after() {
                    let longest = longest_wait(&rig.strategy, rate, cost);
                    assert!(wait <= longest, "{:?} at {rate}: {} us for {cost}", rig.strategy, micros(wait));
                } else {
                    course.note(cost, 0, period.into());
                    charges.push(outcome);
                }
            }
        }
        course.assert_allowed(&rig.strategy, rate);
    }
    Ok(())
}

#[tokio::test]
async fn jumping_clock_admits_and_refuses_as_its_forward_time_allows() -> Result {
    for &rate in RATES {
        for strategy in configured_strategies(rate) {
            for seed in 0..times(20, 2000) {
                follow(strategy.clone(), rate, Random::new(seed)).await?;
            }
        }
    }
    Ok(())
}

/// A charge counts as long as it would have before the clock went back, and no longer.
#[tokio::test]
async fn clock_that_goes_back_and_forward_counts_its_forward_time() -> Result {
    let rate = Rate::literal("60/min");
    for strategy in configured_strategies(rate) {
        let (capacity, rig) = (strategy.capacity(rate), Rig::new(strategy, START));
        assert!(rig.decide(rate, capacity).await?.admitted);
        rig.go_to(START - 3_600_000_000);
        assert!(!rig.decide(rate, 1).await?.admitted);
        // Two windows, or three full buckets.
        rig.go_to(rig.now() + 180_000_000);
        assert!(rig.decide(rate, capacity).await?.admitted, "{:?}", rig.strategy);
        assert!(!rig.decide(rate, 1).await?.admitted);
    }
    Ok(())
}
