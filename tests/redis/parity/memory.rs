//! Compares Redis with the memory backend: the same calls to both, on the same clock.

use tests::{configured_strategies, limit, refunds};
use traffik::{
    Rate,
    backend::{Backend, MemoryBackend},
    client::Key,
    clock::{Clock, Timestamp},
    decision::{Charge, Hit, LimitStatus, Outcome},
    strategy::{AnyStrategy, Strategy},
    test::ManualClock,
};
use traffik_redis::RedisBackend;

use super::{random::Random, traces};
use crate::{
    Result, builder,
    own::{CoolDown, Leases, RollOver},
    server::Server,
};

fn strategies(rate: Rate) -> Vec<AnyStrategy> {
    let custom: [AnyStrategy; 3] = [
        AnyStrategy::custom(CoolDown),
        AnyStrategy::custom(Leases),
        AnyStrategy::custom(RollOver { saved: rate.limit() }),
    ];
    let custom = custom.into_iter().filter(|strategy| strategy.check(rate).is_ok());
    configured_strategies(rate).into_iter().chain(custom).collect()
}

/// The visible part of a decision, without the stored state.
fn shown(hit: &Hit<'_>, outcome: &Outcome) -> impl PartialEq + std::fmt::Debug {
    let standing = LimitStatus::new(hit.limit.strategy(), hit.rate, outcome);
    let waits = (standing.retry_after(), standing.more_after(), standing.reset_after());
    (outcome.admitted, outcome.at, standing.remaining(), standing.delay(), waits)
}

async fn follow(redis: &RedisBackend, seed: u64) -> Result<u64> {
    let mut random = Random::new(seed);
    let rate = if seed.is_multiple_of(2) {
        random.rate()
    } else {
        Rate::new(random.of_any_size(100), random.rate().period())?
    };
    let clock = ManualClock::at(Timestamp::from_micros(random.of_any_size(2_000_000_000_000_000)));
    let (memory, redis) = (MemoryBackend::with_clock("test", clock.clone()), redis.by_hand(clock.clone()));
    let (key, strategies) = (Key::from(("compared with memory", seed)), strategies(rate));
    let (mut charged, mut turns, mut remaining) = (Vec::new(), vec![0], rate.limit());
    for step in 0..40 {
        clock.set(Timestamp::from_micros(random.later(clock.now().as_micros(), rate, &turns)));
        let hits: Vec<_> = (0..=random.pick(&[0, 0, 0, 1, 2, 4], 0))
            .filter_map(|_| {
                let strategy = strategies.get(usize::try_from(random.upto(strategies.len() as u64 - 1)).ok()?)?;
                let cost = random.cost(remaining, strategy.capacity(rate));
                Some(Hit::new(limit("limit", strategy), &key, rate, cost))
            })
            .collect();
        let is_peek = random.upto(5) == 0;
        let (found, expected) = if is_peek {
            (redis.peek(&hits).await?, memory.peek(&hits).await?)
        } else {
            (redis.decide(&hits).await?, memory.decide(&hits).await?)
        };
        let says = format!("seed {seed}, step {step}: {hits:?} at {:?}", clock.now());
        assert_eq!(found.outcomes(), expected.outcomes(), "{says}");
        for ((hit, found), expected) in hits.iter().zip(found.outcomes()).zip(expected.outcomes()) {
            assert_eq!(shown(hit, found), shown(hit, expected), "{says}");
            let standing = LimitStatus::new(hit.limit.strategy(), rate, expected);
            let waits = [standing.retry_after(), standing.more_after(), Some(standing.reset_after())];
            turns = waits.into_iter().flatten().filter_map(|wait| u64::try_from(wait.as_micros()).ok()).collect();
            remaining = standing.remaining().units().unwrap_or(u64::MAX);
        }
        if found.is_admitted() && !is_peek {
            charged.extend(hits.iter().map(|&hit| Charge::new(hit, clock.now())));
        }
        if random.upto(6) == 0 && !charged.is_empty() {
            let at = charged.len() - 1 - usize::try_from(random.upto(charged.len().min(8) as u64 - 1))?;
            let charges: Vec<_> = charged.iter().skip(at).take(3).copied().collect();
            redis.adjust(&refunds(&charges)).await?;
            memory.adjust(&refunds(&charges)).await?;
        }
        if random.upto(30) == 0 {
            redis.reset(&hits).await?;
            memory.reset(&hits).await?;
        }
    }
    Ok(40)
}

#[tokio::test]
async fn memory_backend_gives_the_same_answers() -> Result {
    let server = Server::start()?;
    let redis = builder(&server).connect().await?;
    let mut steps = 0;
    for seed in 0..traces() {
        steps += follow(&redis, seed).await?;
    }
    println!("compared with memory: {steps} calls");
    assert_eq!(server.raw()?.keys_without_end()?, Vec::<String>::new());
    Ok(())
}
