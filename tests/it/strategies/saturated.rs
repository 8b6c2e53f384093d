//! A client that asks for more than there is gets what is exact, however long it goes on: nothing drifts, at any rate.
//!
//! What is exact is worked out here in integers of 128 bits from what the strategies are said to admit.

use std::collections::VecDeque;

use traffik::{
    Rate,
    strategy::{
        AnyStrategy, FixedWindow, Gcra, LeakyBucket, SlidingWindowCounter, SlidingWindowLog, Strategy, TokenBucket,
    },
};

use super::{
    Result,
    random::Random,
    rig::{Rig, micros},
};
use crate::patience::times;

/// The slowest and the fastest that are promised, intervals that are no whole number of microseconds, and primes.
const RATES: [Rate; 9] = [
    Rate::literal("1/30d"),
    Rate::literal("3/50d"),
    Rate::literal("7/s"),
    Rate::literal("97/10007us"),
    Rate::literal("65521/7h13m"),
    Rate::literal("999983/7h13m"),
    Rate::literal("9999991/s"),
    Rate::literal("10000000/s"),
    Rate::literal("3/us"),
];

const START: u64 = 1_700_000_000_123_457;

/// What the client asks for, and how often it asks: 10 million times for one at a time where there is time for that.
fn courses(rate: Rate) -> [(u64, u64); 2] {
    [(1, times(20_000, 10_000_000)), (rate.limit() / 97 + 1, times(2000, 1_000_000))]
}

/// Asks until it is refused, goes on to where it is admitted again, and so on. `check` sees each decision: whether it was
/// admitted, and when.
async fn saturate(
    rig: &Rig,
    rate: Rate,
    (cost, decisions): (u64, u64),
    mut check: impl FnMut(bool, u64),
    mut slack: impl FnMut() -> u64,
) -> Result {
    for _ in 0..decisions {
        let outcome = rig.decide(rate, cost).await?;
        check(outcome.admitted, rig.now());
        if let Some(wait) = rig.standing(rate, &outcome).retry_after() {
            rig.go_to(rig.now() + micros(wait) + slack());
        }
    }
    Ok(())
}

/// What is in the bucket, to the last fraction; and in all `size + limit × time ÷ period`, if it never overflows.
async fn meter(strategy: impl Into<AnyStrategy>, rate: Rate, size: u64) -> Result {
    let strategy = strategy.into();
    for course in courses(rate).into_iter().filter(|(cost, _)| *cost <= size) {
        let rig = Rig::new(strategy.clone(), START);
        let [limit, period, cost, size] = [rate.limit(), rate.period_micros(), course.0, size].map(u128::from);
        // All of these times the period.
        let (mut tokens, mut last, mut total) = (size * period, START, 0);
        // Times are whole microseconds: as long as it has room for one, nothing is lost by waiting for the next.
        let overflows = size * period < cost * period + limit;
        let check = |admitted, now: u64| {
            tokens = (tokens + u128::from(now - last) * limit).min(size * period);
            last = now;
            assert_eq!(admitted, cost * period <= tokens, "{strategy:?} at {rate}, at {now}");
            if admitted {
                (tokens, total) = (tokens - cost * period, total + cost * period);
            }
            let exact = size * period + u128::from(now - START) * limit;
            assert!(total <= exact, "{strategy:?} at {rate}: too many at {now}");
            assert!(admitted || overflows || total + cost * period > exact, "{strategy:?} at {rate}: too few at {now}");
        };
        // It goes on for longer than it has to wait, but not for so long that the bucket fills up.
        let most = u64::try_from((size.saturating_sub(cost) * period).saturating_sub(cost * period + limit) / limit);
        let mut random = Random::new(rate.limit());
        let slack = || if random.upto(2) == 0 { random.upto(most.unwrap_or(0)) } else { 0 };
        saturate(&rig, rate, course, check, slack).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_token_bucket_admits_its_burst_and_what_came_back() -> Result {
    for rate in RATES {
        for size in [1, rate.limit(), rate.limit() / 3 + 1, rate.limit() * 2 + 1] {
            meter(TokenBucket::new().burst(size), rate, size).await?;
        }
        meter(TokenBucket::new().debt(7), rate, rate.limit() + 7).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_leaky_bucket_admits_what_it_holds_and_what_ran_out() -> Result {
    for rate in RATES {
        meter(LeakyBucket::new(), rate, rate.limit()).await?;
        meter(LeakyBucket::new().capacity(3), rate, 3).await?;
    }
    Ok(())
}

#[tokio::test]
async fn gcra_admits_one_in_each_interval() -> Result {
    for rate in RATES {
        meter(Gcra::new(), rate, 1).await?;
        meter(Gcra::new().burst(5), rate, 5).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_fixed_window_admits_the_limit_in_each() -> Result {
    for rate in RATES {
        for course in courses(rate) {
            let rig = Rig::new(FixedWindow.into(), START);
            let [limit, cost] = [rate.limit(), course.0].map(u128::from);
            let (mut total, first) = (0, START / rate.period_micros());
            let check = |admitted, now: u64| {
                total += if admitted { cost } else { 0 };
                let windows = u128::from(now / rate.period_micros() - first + 1);
                let exact = windows * (limit / cost * cost);
                assert!(total <= exact && (admitted || total == exact), "{rate}: {total} instead of {exact} at {now}");
            };
            saturate(&rig, rate, course, check, || 0).await?;
        }
    }
    Ok(())
}

/// `previous × (period − elapsed) ÷ period + current`, with everything times the period.
#[tokio::test]
async fn a_sliding_window_counter_admits_what_its_estimate_leaves() -> Result {
    for rate in RATES {
        for course in courses(rate) {
            let rig = Rig::new(SlidingWindowCounter.into(), START);
            let [limit, period, cost] = [rate.limit(), rate.period_micros(), course.0].map(u128::from);
            let (mut number, mut previous, mut current) = (u128::from(START) / period, 0, 0);
            let mut random = Random::new(rate.limit());
            let check = |admitted, now: u64| {
                let now = u128::from(now);
                if now / period > number {
                    previous = if now / period == number + 1 { current } else { 0 };
                    (number, current) = (now / period, 0);
                }
                let used = previous * (period - now % period) + current * period;
                assert_eq!(admitted, used + cost * period <= limit * period, "{rate} at {now}");
                current += if admitted { cost } else { 0 };
            };
            let slack = || if random.upto(3) == 0 { random.of_any_size(rate.period_micros()) } else { 0 };
            saturate(&rig, rate, course, check, slack).await?;
        }
    }
    Ok(())
}

/// Where n fit, the next is admitted a period after the n-th before it, and not a microsecond sooner.
#[tokio::test]
async fn a_sliding_window_log_admits_each_a_period_after_the_one_whose_place_it_takes() -> Result {
    let log_rates = RATES.into_iter().filter(|rate| SlidingWindowLog.check(*rate).is_ok());
    for rate in log_rates.chain([Rate::literal("65536/s"), Rate::literal("100/min")]) {
        for course in courses(rate) {
            let rig = Rig::new(SlidingWindowLog.into(), START);
            let fit = usize::try_from(rate.limit() / course.0).unwrap_or(usize::MAX);
            let (mut admitted_at, mut random) = (VecDeque::new(), Random::new(rate.limit()));
            let check = |admitted, now: u64| {
                let gone = |at: &u64| u128::from(*at) + u128::from(rate.period_micros()) <= u128::from(now);
                while admitted_at.front().is_some_and(gone) {
                    admitted_at.pop_front();
                }
                assert_eq!(admitted, admitted_at.len() < fit, "{rate} at {now}");
                if admitted {
                    admitted_at.push_back(now);
                }
            };
            let slack = || if random.upto(3) == 0 { random.of_any_size(rate.period_micros() / 50 + 1) } else { 0 };
            saturate(&rig, rate, course, check, slack).await?;
        }
    }
    Ok(())
}
