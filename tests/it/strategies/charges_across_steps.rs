//! A clock that goes back at random while charges are renewed and given back: exactly those that are held count.

use traffik::{
    Rate,
    clock::Timestamp,
    decision::Outcome,
    strategy::{AnyStrategy, Concurrency, SlidingWindowLog, Strategy},
};

use super::{Result, random::Random, rig::Rig};
use crate::patience::times;

const STEPS: u64 = 120;
const SECOND: u64 = 1_000_000;
const START: u64 = 1_700_000_000_000_000;

const RATES: &[Rate] = &[
    Concurrency::at_once(1),
    Concurrency::at_once(3),
    Rate::literal("20/30s"),
    Rate::literal("50/100ms"),
    Rate::literal("200/50d"),
];

/// A charge that is held.
struct Held {
    charged: Outcome,
    /// How much time passes, as the sum of the forward steps of the clock, until it is renewed or given back.
    ends: u64,
}

struct Course {
    rig: Rig,
    rate: Rate,
    random: Random,
    held: Vec<Held>,
    forward: u64,
}

impl Course {
    fn new(strategy: AnyStrategy, rate: Rate, seed: u64) -> Self {
        Self { rig: Rig::new(strategy, START), rate, random: Random::new(seed), held: Vec::new(), forward: 0 }
    }

    /// Moves the clock: on by up to a quarter of a period, or back.
    fn move_clock(&mut self) {
        let (now, period) = (self.rig.now(), self.rate.period_micros());
        let next = match self.random.upto(9) {
            0 => now - self.random.of_any_size(4 * period).min(now),
            1 => now - self.random.upto(3).min(now),
            2 => now - self.random.upto(period / 2).min(now),
            // To the epoch.
            3 if self.random.upto(9) == 0 => self.random.upto(2 * period),
            3 | 4 => now,
            _ => now + self.random.upto(period / 4),
        };
        // Longer steps forward would let charges end.
        let next = next.min(now + period / 4);
        self.forward += next.saturating_sub(now);
        self.rig.go_to(next);
    }

    /// Returns a time before the charge ends, whatever the next step is.
    fn ends(&mut self) -> u64 {
        self.forward + 1 + self.random.upto(self.rate.period_micros() / 2)
    }

    /// Renews or gives back the charge at a place.
    async fn end(&mut self, place: usize, is_renewed: bool) -> Result {
        let held = self.held.swap_remove(place);
        if !is_renewed {
            return self.rig.refund(self.rate, &held.charged).await;
        }
        let renewed = self.rig.renew(self.rate, held.charged.cost, held.charged.at).await?;
        assert!(renewed.is_some(), "not renewed: {:?}, now {}", held.charged, self.rig.now());
        let Some(at) = renewed else { return Ok(()) };
        let ends = self.ends();
        self.held.push(Held { charged: Outcome::new(true, held.charged.cost, at), ends });
        Ok(())
    }

    async fn end_due(&mut self) -> Result {
        while let Some(place) = self.held.iter().position(|held| held.ends <= self.forward) {
            let is_renewed = self.random.upto(2) > 0;
            self.end(place, is_renewed).await?;
        }
        Ok(())
    }

    async fn follow(mut self, says: &str) -> Result {
        for step in 0..STEPS {
            self.move_clock();
            self.end_due().await?;
            if self.random.upto(1) == 0 {
                let cost = self.random.upto(2) + 1;
                let charged = self.rig.decide(self.rate, cost.min(self.rate.limit())).await?;
                if charged.admitted {
                    let ends = self.ends();
                    self.held.push(Held { charged, ends });
                }
            }
            let most = self.held.len().saturating_sub(1) as u64;
            let place = usize::try_from(self.random.upto(most)).unwrap_or_default();
            if self.random.upto(3) == 0 && place < self.held.len() {
                let is_renewed = self.random.upto(1) == 0;
                self.end(place, is_renewed).await?;
            }
            let held: u64 = self.held.iter().map(|held| held.charged.cost).sum();
            assert_eq!(self.rig.remaining(self.rate).await?, self.rate.limit() - held, "{says}, step {step}");
        }
        while !self.held.is_empty() {
            self.end(0, false).await?;
        }
        assert_eq!(self.rig.remaining(self.rate).await?, self.rate.limit(), "{says}");
        Ok(())
    }
}

#[tokio::test]
async fn exactly_the_held_charges_count_after_any_steps_back() -> Result {
    for &rate in RATES {
        for strategy in [AnyStrategy::from(Concurrency), SlidingWindowLog.into()] {
            for seed in 0..times(100, 10_000) {
                let says = format!("{} at {rate}, seed {seed}", strategy.name());
                Course::new(strategy.clone(), rate, seed).follow(&says).await?;
            }
        }
    }
    Ok(())
}

fn rig(strategy: impl Into<AnyStrategy>) -> Rig {
    Rig::new(strategy.into(), START)
}

/// Not more than once: the charge of another client is left alone.
#[tokio::test]
async fn charge_is_given_back_once_after_a_step_back() -> Result {
    let (rate, rig) = (Rate::literal("5/30s"), rig(SlidingWindowLog));
    let early = rig.decide(rate, 1).await?;
    rig.go_to(START + 20 * SECOND);
    let late = rig.decide(rate, 2).await?;
    // The early charge keeps its time, and the late one ends with what is charged now.
    rig.go_to(START + 5 * SECOND);
    for left in [4, 4] {
        rig.refund(rate, &late).await?;
        assert_eq!(rig.remaining(rate).await?, left);
    }
    rig.refund(rate, &early).await?;
    assert_eq!(rig.remaining(rate).await?, 5);
    Ok(())
}

/// Without a step back no charge is taken for another one.
#[tokio::test]
async fn last_charge_is_not_given_back_in_place_of_one_that_was_given_back() -> Result {
    for strategy in [AnyStrategy::from(Concurrency), SlidingWindowLog.into()] {
        let (rate, rig) = (Rate::literal("5/30s"), rig(strategy));
        rig.decide(rate, 2).await?;
        rig.go_to(START + SECOND);
        let last = rig.decide(rate, 1).await?;
        for _ in 0..3 {
            rig.refund(rate, &last).await?;
            assert_eq!(rig.remaining(rate).await?, 3);
        }
    }
    Ok(())
}

#[tokio::test]
async fn lapsed_charge_is_not_given_back_after_a_step_back() -> Result {
    let (rate, rig) = (Rate::literal("5/30s"), rig(Concurrency));
    let lapsed = rig.decide(rate, 1).await?;
    rig.go_to(START - 10 * SECOND);
    rig.decide(rate, 1).await?;
    rig.go_to(START + 10 * SECOND);
    rig.decide(rate, 2).await?;
    // Its own end is still to come, but it counted for a lease after the step.
    rig.go_to(START + 21 * SECOND);
    assert_eq!(rig.remaining(rate).await?, 3);
    rig.refund(rate, &lapsed).await?;
    assert_eq!(rig.remaining(rate).await?, 3);
    Ok(())
}

/// A step back by less than a lease, after which another permit is taken at a later time than the first was.
#[tokio::test]
async fn permit_is_renewed_after_a_step_back_and_a_later_permit() -> Result {
    let (rate, rig) = (Concurrency::at_once(2), rig(Concurrency));
    let first = rig.decide(rate, 1).await?;
    rig.go_to(START - 2 * SECOND);
    rig.peek(rate, 1).await?;
    rig.go_to(START - SECOND);
    assert!(rig.decide(rate, 1).await?.admitted);
    rig.go_to(START + 5 * SECOND);
    assert!(!rig.decide(rate, 1).await?.admitted);
    let renewed = rig.renew(rate, 1, first.at).await?;
    assert_eq!(renewed, Some(Timestamp::from_micros(START + 5 * SECOND)));
    assert_eq!(rig.remaining(rate).await?, 0);
    // The lease of the other one ends.
    rig.go_to(START + 29 * SECOND);
    assert_eq!(rig.remaining(rate).await?, 1);
    Ok(())
}

#[tokio::test]
async fn charge_counts_for_at_most_a_period_after_a_step_back() -> Result {
    for strategy in [AnyStrategy::from(Concurrency), SlidingWindowLog.into()] {
        let (rate, rig) = (Rate::literal("5/30s"), rig(strategy));
        for second in 0..5 {
            rig.go_to(START + second * SECOND);
            rig.decide(rate, 1).await?;
        }
        rig.go_to(START + 2 * SECOND);
        assert!(!rig.decide(rate, 1).await?.admitted);
        let left = async |second: u64| {
            rig.go_to(START + second * SECOND);
            rig.remaining(rate).await
        };
        // Those of the first seconds end when they would have.
        assert_eq!([left(29).await?, left(30).await?, left(31).await?, left(32).await?], [0, 1, 2, 5]);
    }
    Ok(())
}

/// Under two rates a charge may count for longer than a period of the present one. A step back does not shorten that.
#[tokio::test]
async fn step_back_opens_no_limit_under_two_rates() -> Result {
    let (minute, ten, rig) = (Rate::literal("5/min"), Rate::literal("6/10s"), rig(SlidingWindowLog));
    rig.decide(minute, 5).await?;
    rig.go_to(START + SECOND);
    let last = rig.decide(ten, 1).await?;
    rig.go_to(START);
    assert!(!rig.decide(ten, 1).await?.admitted);
    rig.refund(ten, &last).await?;
    for (second, left) in [(0, 1), (10, 1), (58, 1), (60, 6)] {
        rig.go_to(START + second * SECOND);
        assert_eq!(rig.remaining(ten).await?, left, "at {second} s");
    }
    Ok(())
}
