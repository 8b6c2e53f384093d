//! Custom strategies: the same trait and guarantees, on the same backend.

mod cool_down;
mod leases;

use std::time::Duration;

use tests::limit;
use traffik::{
    Rate,
    backend::{Backend, BackendError, MemoryBackend},
    client::Key,
    decision::{Charge, Hit, LimitStatus},
    strategy::{AnyStrategy, FixedWindow, SlidingWindowLog, Strategy, TokenBucket},
    test::ManualClock,
};

use self::{
    cool_down::{CoolDown, CoolDownModel},
    leases::{Leases, LeasesModel},
};
use super::{Result, random::Random, traces};
use crate::patience::times;

/// Returns both custom strategies, one with two words and one with a log, if they work with `rate`.
pub(super) fn strategies(rate: Rate) -> impl Iterator<Item = AnyStrategy> {
    let both = [AnyStrategy::custom(CoolDown), AnyStrategy::custom(Leases)];
    both.into_iter().filter(move |strategy| strategy.check(rate).is_ok())
}

#[tokio::test]
async fn custom_strategy_with_two_words_equals_its_model() -> Result {
    for seed in 0..times(300, 30_000) {
        let mut random = Random::new(seed);
        let rate = random.rate();
        let model = CoolDownModel::new(rate);
        traces::follow(AnyStrategy::custom(CoolDown), rate, model, random, &format!("seed {seed}")).await?;
    }
    Ok(())
}

#[tokio::test]
async fn custom_strategy_with_a_log_equals_its_model() -> Result {
    for seed in 0..times(300, 30_000) {
        let mut random = Random::new(seed);
        let period = Duration::from_micros(random.of_any_size(50 * 86_400 * 1_000_000));
        let rate = Rate::new(random.of_any_size(Leases::MAX_LIMIT), period).unwrap_or(Rate::literal("5/min"));
        let model = LeasesModel::new(rate);
        traces::follow(AnyStrategy::custom(Leases), rate, model, random, &format!("seed {seed}")).await?;
    }
    Ok(())
}

const RATE: Rate = Rate::literal("5/min");

fn hit<'a>(strategy: &'a AnyStrategy, key: &'a Key, cost: u64) -> Hit<'a> {
    Hit::new(limit("limit", strategy), key, RATE, cost)
}

/// A store, its clock, strategies of all kinds and a client.
fn table() -> (MemoryBackend, ManualClock, [AnyStrategy; 5], Key) {
    let clock = ManualClock::new();
    let strategies = [
        AnyStrategy::custom(CoolDown),
        FixedWindow.into(),
        AnyStrategy::custom(Leases),
        SlidingWindowLog.into(),
        TokenBucket::new().into(),
    ];
    (MemoryBackend::with_clock("test", clock.clone()), clock, strategies, Key::from("alice"))
}

async fn remaining(backend: &MemoryBackend, hits: &[Hit<'_>]) -> std::result::Result<Vec<u64>, BackendError> {
    let decision = backend.peek(hits).await?;
    let standings = hits.iter().zip(decision.outcomes());
    Ok(standings
        .map(|(hit, outcome)| {
            LimitStatus::new(hit.limit.strategy(), hit.rate, outcome).remaining().units().unwrap_or(u64::MAX)
        })
        .collect())
}

#[tokio::test]
async fn custom_strategy_in_a_tuple_is_charged_with_all_or_none() -> Result {
    // Few hits take another code path than many.
    for count in 2..=5 {
        let (backend, _, strategies, key) = table();
        for first in 0..=strategies.len() - count {
            backend.clear().await?;
            let hits: Vec<_> =
                strategies.iter().skip(first).take(count).map(|strategy| hit(strategy, &key, 2)).collect();
            assert!(backend.decide(&hits).await?.is_admitted());
            for dear in 0..count {
                let mut hits = hits.clone();
                hits[dear] = hits[dear].costing(4);
                let found = backend.decide(&hits).await?;
                let admitted: Vec<_> = found.outcomes().iter().map(|outcome| outcome.admitted).collect();
                assert_eq!(admitted, (0..count).map(|place| place != dear).collect::<Vec<_>>());
                assert_eq!(remaining(&backend, &hits).await?, vec![3; count], "{hits:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn hits_on_one_custom_entry_add_up() -> Result {
    for strategy in strategies(RATE) {
        let (backend, _, _, key) = table();
        let of = |cost| hit(&strategy, &key, cost);
        assert!(!backend.decide(&[of(2), of(2), of(2)]).await?.is_admitted());
        assert!(backend.is_empty());
        assert!(backend.decide(&[of(2), of(3)]).await?.is_admitted());
        assert_eq!(remaining(&backend, &[of(1)]).await?, [0]);
    }
    Ok(())
}

#[tokio::test]
async fn refund_follows_the_custom_strategy() -> Result {
    let (backend, clock, strategies, key) = table();
    let hits = strategies.each_ref().map(|strategy| hit(strategy, &key, 2));
    let charged_at = backend.decide(&hits).await?.outcomes()[0].at;
    clock.advance(Duration::from_secs(1));
    assert!(backend.decide(&hits).await?.is_admitted());
    backend.adjust(&hits.map(|hit| Charge::new(hit, charged_at).refund())).await?;
    assert_eq!(remaining(&backend, &hits).await?, [3; 5]);
    // Its leases had ended by then, so nothing of them is refunded.
    clock.advance(Duration::from_secs(120));
    backend.adjust(&[Charge::new(hits[2], charged_at).refund()]).await?;
    assert_eq!(remaining(&backend, &hits[2..3]).await?, [5]);
    Ok(())
}

#[tokio::test]
async fn cap_evicts_unlimited_clients_of_a_custom_strategy_first() -> Result {
    for strategy in strategies(RATE) {
        let backend = MemoryBackend::builder("test").clock(ManualClock::new()).max_entries(1000).build().unwrap();
        let limited: Vec<Key> = (0..890_u64).map(|client| Key::from(("limited", client))).collect();
        for key in &limited {
            assert!(backend.decide(&[hit(&strategy, key, 5)]).await?.is_admitted());
        }
        for stranger in 0..3000_u64 {
            let key = Key::from(("stranger", stranger));
            assert!(backend.decide(&[hit(&strategy, &key, 1)]).await?.is_admitted());
            assert!(backend.len() <= 1000);
        }
        for key in &limited {
            assert!(!backend.decide(&[hit(&strategy, key, 1)]).await?.is_admitted(), "{strategy:?}");
        }
        assert_eq!(backend.evictions(), 2890);
    }
    Ok(())
}
