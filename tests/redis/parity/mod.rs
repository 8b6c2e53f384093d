//! The Lua strategies give exactly the answers of the Rust ones: the same calls to a reference and to the backend, at
//! the same times of a manual clock.

mod arithmetic;
mod boundary;
mod logs;
mod long_logs;
mod memory;
mod own;
#[path = "../../it/strategies/random.rs"]
mod random;
mod reference;
mod settle;
mod trace;

use std::time::Duration;

use tokio::task::JoinSet;
use traffik::{
    Rate,
    strategy::{
        AnyStrategy, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SlidingWindowCounter, Strategy, TokenBucket,
    },
};

use self::{random::Random, trace::Trace};
use crate::{Result, builder, server::Server};

/// The rates of most traces: the bounds, primes, rates that do not divide evenly, and common ones.
const RATES: &[Rate] = &[
    Rate::literal("1/50d"),
    Rate::literal("100000000000000/50d"),
    Rate::literal("99999999999999/4319999999999us"),
    Rate::literal("100000000000000/us"),
    Rate::literal("1/us"),
    Rate::literal("3/us"),
    Rate::literal("10000000/s"),
    Rate::literal("97/10007us"),
    Rate::literal("999983/7h13m"),
    Rate::literal("2147483647/4319999999999us"),
    Rate::literal("1/s"),
    Rate::literal("7/s"),
    Rate::literal("5/10s"),
    Rate::literal("60/min"),
    Rate::literal("65536/min"),
];

/// This many traces run concurrently, so that the server is never idle.
const AT_ONCE: u64 = 32;

/// Returns the number of traces of each strategy, forty times as many with `TRAFFIK_LONG`.
fn traces() -> u64 {
    if std::env::var_os("TRAFFIK_LONG").is_some() { 10_240 } else { 256 }
}

/// A strategy with any settings that work with a rate.
type Choose = fn(Rate, &mut Random) -> AnyStrategy;

async fn follow(name: &'static str, choose: Choose) -> Result {
    let server = Server::start()?;
    let redis = builder(&server).connect().await?;
    let mut running = JoinSet::new();
    let (mut steps, mut admitted) = (0, 0);
    for seed in 0..traces() + AT_ONCE {
        if seed < traces() {
            running.spawn(Trace::new(&redis, name, seed, choose).follow());
        }
        if seed >= AT_ONCE
            && let Some(done) = running.join_next().await
        {
            let (more, of_them) = done??;
            (steps, admitted) = (steps + more, admitted + of_them);
        }
    }
    println!("{name}: {steps} decisions, {admitted} of them admitted");
    assert_eq!(server.raw()?.keys_without_end()?, Vec::<String>::new());
    assert!(steps > traces() * 20 && admitted > steps / 4 && admitted < steps);
    Ok(())
}

/// Returns any size that works with the rate: the limit, a small one, or the largest.
fn size(rate: Rate, random: &mut Random) -> u64 {
    let size = match random.upto(3) {
        0 => rate.limit(),
        1 => random.of_any_size(rate.limit()),
        2 => rate.limit().saturating_mul(2).saturating_sub(random.upto(rate.limit())),
        _ => random.of_any_size(Rate::MAX_LIMIT),
    };
    if TokenBucket::new().burst(size).check(rate).is_ok() { size } else { rate.limit() }
}

#[tokio::test]
async fn fixed_window_equals_the_reference() -> Result {
    follow("fixed window", |_, _| FixedWindow.into()).await
}

#[tokio::test]
async fn sliding_window_counter_equals_the_reference() -> Result {
    follow("sliding window counter", |_, _| SlidingWindowCounter.into()).await
}

#[tokio::test]
async fn token_bucket_equals_the_reference() -> Result {
    follow("token bucket", |rate, random| TokenBucket::new().burst(size(rate, random)).into()).await
}

#[tokio::test]
async fn token_bucket_as_large_as_the_limit_equals_the_reference() -> Result {
    follow("token bucket of the limit", |_, _| TokenBucket::new().into()).await
}

#[tokio::test]
async fn leaky_bucket_equals_the_reference() -> Result {
    follow("leaky bucket", |rate, random| LeakyBucket::new().capacity(size(rate, random)).into()).await
}

#[tokio::test]
async fn gcra_equals_the_reference() -> Result {
    follow("gcra", |rate, random| Gcra::new().burst(size(rate, random)).into()).await
}

/// Any bound that works with the rate: the length of the queue, the longest delay, or both.
fn queue(rate: Rate, random: &mut Random) -> AnyStrategy {
    let delay = |random: &mut Random| Duration::from_micros(random.of_any_size(3 * rate.period_micros()));
    let queue = LeakyBucketWithQueue::new();
    let any = match random.upto(4) {
        0 => queue,
        1 => queue.queue(size(rate, random) - 1),
        2 => queue.max_delay(delay(random)),
        // The setting that decides while `max_held` requests are held.
        3 => queue.queue(size(rate, random) - 1).max_delay(Duration::ZERO),
        _ => queue.queue(size(rate, random) - 1).max_delay(delay(random)),
    };
    if any.check(rate).is_ok() { any.into() } else { queue.queue(3.min(rate.limit() - 1)).into() }
}

#[tokio::test]
async fn leaky_bucket_with_queue_equals_the_reference() -> Result {
    follow("leaky bucket with queue", queue).await
}

#[tokio::test]
async fn queues_with_other_strategies_equal_the_reference() -> Result {
    let any: Choose = |rate, random| match random.upto(3) {
        0 => SlidingWindowCounter.into(),
        1 => TokenBucket::new().burst(size(rate, random)).into(),
        _ => queue(rate, random),
    };
    follow("queues with other strategies", any).await
}

/// The program of the frequent strategies.
#[tokio::test]
async fn several_strategies_in_one_decision_equal_the_reference() -> Result {
    let any: Choose = |rate, random| match random.upto(3) {
        0 => FixedWindow.into(),
        1 => SlidingWindowCounter.into(),
        2 => TokenBucket::new().burst(size(rate, random)).into(),
        _ => Gcra::new().burst(size(rate, random)).into(),
    };
    follow("several strategies", any).await
}
