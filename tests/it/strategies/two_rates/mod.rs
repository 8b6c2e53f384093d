//! Two rates on one entry, alternating, like two running versions of an app. Nothing breaks, and the admitted amounts
//! are those that the guide documents for a rate that changes.

mod models;

use traffik::{
    Rate,
    strategy::{
        AnyStrategy, FixedWindow, Gcra, LeakyBucket, SlidingWindowCounter, SlidingWindowLog, Strategy, TokenBucket,
    },
};

use self::models::{Carried, Count, Fading, Listed, TwoRates};
use super::{
    BackendError, Result,
    random::Random,
    rig::{Rig, micros},
};
use crate::patience::times;

const START: u64 = 1_700_000_000_000_000;

/// Pairs of rates, either of which is stricter in its own way: in its limit, its period, both, or its pace only.
const PAIRS: [[Rate; 2]; 8] = [
    [Rate::literal("10/min"), Rate::literal("7/min")],
    [Rate::literal("10/min"), Rate::literal("10/s")],
    [Rate::literal("100/hour"), Rate::literal("10/s")],
    [Rate::literal("100/min"), Rate::literal("5/s")],
    [Rate::literal("7/s"), Rate::literal("11/2s")],
    [Rate::literal("97/10007us"), Rate::literal("10/ms")],
    [Rate::literal("1/30d"), Rate::literal("3/us")],
    [Rate::literal("60000/min"), Rate::literal("3/10s")],
];

/// The admitted requests: the time, which of the two rates, and the cost.
type Charges = Vec<(u64, Rate, u64)>;

/// Checks at either rate at random, mostly for the amount left or one more, and compares each answer with the model.
async fn follow(
    strategy: impl Into<AnyStrategy>,
    rates: [Rate; 2],
    mut model: impl TwoRates,
    seed: u64,
) -> std::result::Result<Charges, BackendError> {
    let (rig, mut random) = (Rig::new(strategy.into(), START), Random::new(seed));
    let (mut charges, mut turns) = (Vec::new(), vec![0]);
    for step in 0..200 {
        let rate = random.pick(&rates, rates[0]);
        rig.go_to(random.later(rig.now(), rate, &turns));
        let remaining = rig.remaining(rate).await?;
        let (cost, now) = (random.cost(remaining, rig.strategy.capacity(rate)).max(1), rig.now());
        let fits = model.fits(rate, cost, now);
        let outcome = rig.decide(rate, cost).await?;
        let strategy = &rig.strategy;
        assert_eq!(outcome.admitted, fits, "{strategy:?}, seed {seed}, step {step}: {cost} at {rate} of {rates:?}");
        if fits {
            model.charge(rate, cost, now);
            charges.push((now, rate, cost));
        }
        let answer = rig.answer(rate, &outcome);
        turns = [answer.retry_after, answer.more_after].into_iter().flatten().map(micros).collect();
        turns.push(0);
    }
    Ok(charges)
}

fn seeds() -> impl Iterator<Item = ([Rate; 2], u64)> {
    PAIRS.into_iter().flat_map(|rates| (0..times(40, 4000)).map(move |seed| (rates, seed)))
}

/// Returns the highest sum of charges at `rate` from any charge on, as long as `together` holds for its time and
/// theirs.
fn most_at(charges: &Charges, rate: Rate, together: impl Fn(u64, u64) -> bool) -> u64 {
    let own = |&&(_, at, _): &&(u64, Rate, u64)| at == rate;
    let sums = charges.iter().filter(own).enumerate().map(|(place, &(first, ..))| {
        let of_these = charges.iter().filter(own).skip(place).take_while(|(now, ..)| together(first, *now));
        of_these.map(|(_, _, cost)| cost).sum()
    });
    sums.max().unwrap_or(0)
}

#[tokio::test]
async fn fixed_window_counts_to_the_end_of_the_longest_charged_window() -> Result {
    for (rates, seed) in seeds() {
        let charges = follow(FixedWindow, rates, Count::default(), seed).await?;
        // Each rate holds in its own windows, whatever is charged at the other.
        for rate in rates {
            let is_one_window = |first, now| first / rate.period_micros() == now / rate.period_micros();
            assert!(most_at(&charges, rate, is_one_window) <= rate.limit(), "seed {seed}: {rate} of {rates:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn sliding_window_log_counts_each_charge_for_its_own_period() -> Result {
    for (rates, seed) in seeds() {
        let charges = follow(SlidingWindowLog, rates, Listed::default(), seed).await?;
        // Each rate holds in every span of its period, whatever is charged at the other.
        for rate in rates {
            let is_one_span = |first, now| now - first < rate.period_micros();
            assert!(most_at(&charges, rate, is_one_span) <= rate.limit(), "seed {seed}: {rate} of {rates:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn sliding_window_counter_carries_its_estimate_to_the_other_rate() -> Result {
    for (rates, seed) in seeds() {
        follow(SlidingWindowCounter, rates, Fading::default(), seed).await?;
    }
    Ok(())
}

#[tokio::test]
async fn bucket_carries_its_level_and_drains_at_the_slower_rate() -> Result {
    for (rates, seed) in seeds() {
        follow(TokenBucket::new(), rates, Carried::default(), seed).await?;
        follow(LeakyBucket::new(), rates, Carried::default(), seed).await?;
    }
    Ok(())
}

/// Fails if any span admitted more than `most` allows for its length.
fn hold_to(charges: &Charges, most: impl Fn(u64) -> u128, context: impl std::fmt::Display) {
    for (place, &(first, ..)) in charges.iter().enumerate() {
        let mut total = 0;
        for &(now, _, cost) in charges.iter().skip(place) {
            total += u128::from(cost);
            assert!(total <= most(now - first), "{context}: {total} in {} us", now - first);
        }
    }
}

/// Uses a few of the seeds, since every span is checked.
fn some_seeds() -> impl Iterator<Item = ([Rate; 2], u64)> {
    seeds().filter(|(_, seed)| seed % 4 == 0)
}

/// Returns the amount that a rate admits in this many microseconds, rounded up.
fn pace(rate: Rate, time: u64) -> u128 {
    (u128::from(time) * u128::from(rate.limit())).div_ceil(u128::from(rate.period_micros()))
}

#[tokio::test]
async fn bucket_at_two_rates_admits_at_most_the_larger_size_and_faster_pace() -> Result {
    for (rates, seed) in some_seeds() {
        let sizes_and_paces = |time| {
            let (size, pace) = (rates.map(Rate::limit), rates.map(|rate| pace(rate, time)));
            u128::from(size.into_iter().max().unwrap_or_default()) + pace.into_iter().max().unwrap_or_default()
        };
        for strategy in [AnyStrategy::from(TokenBucket::new()), LeakyBucket::new().into()] {
            let charges = follow(strategy.clone(), rates, Carried::default(), seed).await?;
            hold_to(&charges, sizes_and_paces, format_args!("{strategy:?}, {rates:?}, seed {seed}"));
        }
    }
    Ok(())
}

/// Evenly spaced, or with a burst of the same size at either rate, so only the faster pace matters.
#[tokio::test]
async fn gcra_at_two_rates_admits_at_most_its_burst_and_faster_pace() -> Result {
    for (rates, seed) in some_seeds() {
        for burst in [1, 5] {
            let charges = follow(Gcra::new().burst(burst), rates, Carried::of_size(burst), seed).await?;
            let burst_and_pace =
                |time| u128::from(burst) + rates.map(|rate| pace(rate, time)).into_iter().max().unwrap_or_default();
            hold_to(&charges, burst_and_pace, format_args!("a burst of {burst}, {rates:?}, seed {seed}"));
        }
    }
    Ok(())
}

/// Each rate of a fixed window holds for its own charges, so both together admit at most the sum of both. The other two
/// remember longer, so they admit at most the more generous rate.
#[tokio::test]
async fn windows_at_two_rates_admit_at_most_the_sum_of_both() -> Result {
    for (rates, seed) in some_seeds() {
        // Around the edge of two windows twice the limit can pass.
        let both = |time| rates.iter().map(|rate| 2 * u128::from(rate.limit()) + pace(*rate, time)).sum();
        let larger = |time| {
            let (size, pace) = (rates.map(Rate::limit), rates.map(|rate| pace(rate, time)));
            2 * u128::from(size.into_iter().max().unwrap_or_default()) + pace.into_iter().max().unwrap_or_default()
        };
        let context = |name| format!("{name}, {rates:?}, seed {seed}");
        hold_to(&follow(FixedWindow, rates, Count::default(), seed).await?, both, context("window"));
        hold_to(&follow(SlidingWindowCounter, rates, Fading::default(), seed).await?, larger, context("counter"));
        hold_to(&follow(SlidingWindowLog, rates, Listed::default(), seed).await?, larger, context("log"));
    }
    Ok(())
}

/// The gain that the guide documents for a fixed window: 275 at one rate and then 100 at the other in each minute,
/// although either alone admits at most 300. The other strategies allow no gain.
#[tokio::test]
async fn fixed_window_at_two_rates_admits_more_than_at_either() -> Result {
    let (minute, second, start) = (Rate::literal("100/min"), Rate::literal("5/s"), START - START % 60_000_000);
    let strategies = [
        AnyStrategy::from(FixedWindow),
        SlidingWindowCounter.into(),
        SlidingWindowLog.into(),
        TokenBucket::new().into(),
    ];
    let mut admitted = [0; 4];
    for (strategy, admitted) in strategies.into_iter().zip(&mut admitted) {
        let rig = Rig::new(strategy, start);
        for time in 0..600 {
            rig.go_to(start + time * 1_000_000);
            let rate = match time % 60 {
                0..55 => second,
                55 => minute,
                _ => continue,
            };
            while rig.decide(rate, 1).await?.admitted {
                *admitted += 1;
            }
        }
    }
    let [window, others @ ..] = admitted;
    assert_eq!(window, 3750);
    assert!(others.iter().all(|admitted| *admitted <= 100 + 3000), "{others:?}");
    Ok(())
}
