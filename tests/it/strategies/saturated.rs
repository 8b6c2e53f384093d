//! A client that always requests more than it may gets exactly its limit, without drift, at any rate.
//!
//! The exact amounts are computed here in 128-bit integers from the documented definitions of the strategies.

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

/// The slowest and the fastest supported rates, intervals that are no whole number of microseconds, and primes.
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

/// The cost of each request and the number of requests: 10 million at a cost of 1 with `TRAFFIK_LONG`.
fn courses(rate: Rate) -> [(u64, u64); 2] {
    [(1, times(20_000, 10_000_000)), (rate.limit() / 97 + 1, times(2000, 1_000_000))]
}

/// Checks until refused, advances to the next admission, and so on. Calls `check` with each decision: whether it was
/// admitted, and the time.
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

/// The exact content of the bucket, and the bound `size + limit × time ÷ period` for a bucket that never overflows.
async fn meter(strategy: impl Into<AnyStrategy>, rate: Rate, size: u64) -> Result {
    let strategy = strategy.into();
    for course in courses(rate).into_iter().filter(|(cost, _)| *cost <= size) {
        let rig = Rig::new(strategy.clone(), START);
        let [limit, period, cost, size] = [rate.limit(), rate.period_micros(), course.0, size].map(u128::from);
        // All these amounts are multiplied by the period.
        let (mut tokens, mut last, mut total) = (size * period, START, 0);
        // Times are whole microseconds. A bucket with room for one unit loses nothing until the next microsecond.
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
        // The clock advances further than the wait, but not until the bucket is full.
        let most = u64::try_from((size.saturating_sub(cost) * period).saturating_sub(cost * period + limit) / limit);
        let mut random = Random::new(rate.limit());
        let slack = || if random.upto(2) == 0 { random.upto(most.unwrap_or(0)) } else { 0 };
        saturate(&rig, rate, course, check, slack).await?;
    }
    Ok(())
}

#[tokio::test]
async fn saturated_token_bucket_admits_its_burst_and_refill() -> Result {
    for rate in RATES {
        for size in [1, rate.limit(), rate.limit() / 3 + 1, rate.limit() * 2 + 1] {
            meter(TokenBucket::new().burst(size), rate, size).await?;
        }
        meter(TokenBucket::new().debt(7), rate, rate.limit() + 7).await?;
    }
    Ok(())
}

#[tokio::test]
async fn saturated_leaky_bucket_admits_its_size_and_drain() -> Result {
    for rate in RATES {
        meter(LeakyBucket::new(), rate, rate.limit()).await?;
        meter(LeakyBucket::new().capacity(3), rate, 3).await?;
    }
    Ok(())
}

#[tokio::test]
async fn saturated_gcra_admits_one_per_interval() -> Result {
    for rate in RATES {
        meter(Gcra::new(), rate, 1).await?;
        meter(Gcra::new().burst(5), rate, 5).await?;
    }
    Ok(())
}

#[tokio::test]
async fn saturated_fixed_window_admits_the_limit_per_window() -> Result {
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
async fn saturated_sliding_window_counter_admits_what_its_estimate_leaves() -> Result {
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

/// After n charges, the next is admitted exactly a period after the first of them.
#[tokio::test]
async fn saturated_sliding_window_log_admits_a_period_after_the_expired_charge() -> Result {
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
