//! Hits that take what fits, and hits that are not enforced.

use tests::limit;
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    decision::{Charge, Decision, Hit, LimitStatus},
    strategy::{
        AnyStrategy, Concurrency, FixedWindow, Gcra, LeakyBucket, LeakyBucketWithQueue, SlidingWindowCounter,
        SlidingWindowLog, TokenBucket,
    },
};
use traffik_redis::RedisBackend;

use crate::{Client, Result, builder, own::RollOver, server::Server};

/// All that decide in Lua, and one that does not.
fn strategies() -> Vec<AnyStrategy> {
    vec![
        FixedWindow.into(),
        SlidingWindowCounter.into(),
        SlidingWindowLog.into(),
        TokenBucket::new().into(),
        LeakyBucket::new().into(),
        Gcra::new().burst(10).into(),
        LeakyBucketWithQueue::new().queue(9).into(),
        Concurrency.into(),
        AnyStrategy::custom(RollOver { saved: 0 }),
    ]
}

/// Of each hit whether it fits, what it was granted, and what it and those before it cost.
fn granted(decision: &Decision) -> Vec<(bool, u64, u64)> {
    decision.outcomes().iter().map(|outcome| (outcome.admitted, outcome.granted, outcome.cost)).collect()
}

async fn remaining(backend: &RedisBackend, hit: Hit<'_>) -> Result<u64> {
    let decision = backend.peek(&[hit.costing(0)]).await?;
    let outcome = decision.outcomes().first().ok_or("no outcome")?;
    Ok(LimitStatus::new(hit.limit.strategy(), hit.rate, outcome).remaining().units().unwrap_or(u64::MAX))
}

#[tokio::test]
async fn hit_that_takes_what_fits_is_granted_up_to_what_is_left() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    for strategy in strategies() {
        let client = Client::new("alice", strategy, "10/30d")?;
        let hit = |least, most| client.hit(most).at_least(least);
        assert_eq!(granted(&backend.peek(&[hit(1, 7)]).await?), [(true, 7, 7)], "{:?}", client.strategy);
        assert_eq!(granted(&backend.decide(&[hit(1, 7)]).await?), [(true, 7, 7)], "{:?}", client.strategy);
        assert_eq!(granted(&backend.decide(&[hit(4, 7)]).await?), [(false, 4, 4)], "{:?}", client.strategy);
        assert_eq!(remaining(&backend, hit(1, 1)).await?, 3);
        assert_eq!(granted(&backend.peek(&[hit(0, u64::MAX)]).await?), [(true, 3, 3)], "{:?}", client.strategy);
        let decision = backend.decide(&[hit(3, u64::MAX)]).await?;
        assert_eq!(granted(&decision), [(true, 3, 3)], "{:?}", client.strategy);
        // Nothing is left, of which all is taken.
        assert_eq!(granted(&backend.decide(&[hit(0, 5)]).await?), [(true, 0, 0)], "{:?}", client.strategy);
        assert_eq!(remaining(&backend, hit(1, 1)).await?, 0);
        // What was granted can be given back.
        let at = decision.outcomes().first().ok_or("no outcome")?.at;
        backend.adjust(&[Charge::new(client.hit(3), at).refund()]).await?;
        let left = remaining(&backend, hit(1, 1)).await?;
        let is_last = matches!(client.strategy, AnyStrategy::LeakyBucketWithQueue(_) | AnyStrategy::Custom(_));
        assert!(left == 3 || is_last, "{left} of {:?}", client.strategy);
        backend.clear().await?;
    }
    Ok(())
}

#[tokio::test]
async fn hits_of_a_decision_are_granted_the_same_above_their_lowest_cost() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let (wide, narrow) =
        (Client::new("alice", FixedWindow, "100/30d")?, Client::new("alice", Gcra::new().burst(10), "10/30d")?);
    let unlimited = wide.hit(9).at_rate(Rate::UNLIMITED);
    // By the highest cost, by what is left, by two on one entry, and by a hit at an unlimited rate.
    for (hits, expected) in [
        (vec![wide.hit(5).at_least(1), narrow.hit(9).at_least(2)], vec![(true, 5, 5), (true, 6, 6)]),
        (vec![wide.hit(50).at_least(1), narrow.hit(90).at_least(2)], vec![(true, 9, 9), (true, 10, 10)]),
        (vec![narrow.hit(90).at_least(1), narrow.hit(90).at_least(2)], vec![(true, 4, 4), (true, 5, 9)]),
        (vec![narrow.hit(90).at_least(1), narrow.hit(3)], vec![(true, 7, 7), (true, 3, 10)]),
        (vec![narrow.hit(90).at_least(1), unlimited.at_least(7)], vec![(true, 3, 3), (true, 9, 9)]),
        (
            vec![unlimited.at_least(0), narrow.hit(3).at_least(1), wide.hit(8)],
            vec![(true, 2, 2), (true, 3, 3), (true, 8, 8)],
        ),
        // One that does not fit: nothing above the lowest costs, and nothing is charged.
        (vec![wide.hit(50).at_least(1), narrow.hit(11).at_least(11)], vec![(true, 1, 1), (false, 11, 11)]),
        (vec![unlimited.at_least(7), unlimited], vec![(true, 9, 9), (true, 9, 9)]),
    ] {
        let decision = backend.decide(&hits).await?;
        assert_eq!(granted(&decision), expected, "{hits:?}");
        if !decision.is_admitted() {
            let left = [remaining(&backend, wide.hit(0)).await?, remaining(&backend, narrow.hit(0)).await?];
            assert_eq!(left, [100, 10]);
        }
        backend.clear().await?;
    }
    Ok(())
}

#[tokio::test]
async fn hit_that_is_not_enforced_comes_last_and_refuses_nothing() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    for strategy in strategies() {
        let client = Client::new("alice", strategy, "10/30d")?;
        let (enforced, dry) = (|cost| client.hit(cost), |cost| client.hit(cost).not_enforced());
        // The enforced one has what it needs, and the other what is left.
        let decision = backend.decide(&[dry(4), enforced(7), dry(3)]).await?;
        assert_eq!(granted(&decision), [(false, 4, 4), (true, 7, 7), (true, 3, 10)], "{:?}", client.strategy);
        assert!(decision.is_admitted());
        let enforced_ones: Vec<_> = decision.outcomes().iter().map(|outcome| outcome.enforced).collect();
        assert_eq!(enforced_ones, [false, true, false]);
        assert_eq!(remaining(&backend, enforced(1)).await?, 0);

        // Alone it is admitted, and charged only if it fits.
        let decision = backend.decide(&[dry(1)]).await?;
        assert!(decision.is_admitted());
        assert_eq!(granted(&decision), [(false, 1, 1)], "{:?}", client.strategy);
        assert!(!backend.decide(&[enforced(1), dry(0)]).await?.is_admitted());
        backend.clear().await?;

        // A refusal by another charges it nothing.
        let decision = backend.decide(&[dry(4).at_least(2), enforced(11)]).await?;
        assert!(!decision.is_admitted());
        assert_eq!(granted(&decision), [(true, 2, 2), (false, 11, 11)], "{:?}", client.strategy);
        assert_eq!(remaining(&backend, enforced(1)).await?, 10);
        assert_eq!(granted(&backend.decide(&[dry(4).at_least(2)]).await?), [(true, 4, 4)], "{:?}", client.strategy);
        assert_eq!(remaining(&backend, enforced(1)).await?, 6);
        backend.clear().await?;
    }
    Ok(())
}

/// A refusal that is remembered says nothing of hits that are not enforced or take less.
#[tokio::test]
async fn remembered_refusal_does_not_answer_for_hits_that_are_not_plain() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let client = Client::new("alice", FixedWindow, "10/30d")?;
    client.decide(&backend, 7).await?;
    assert!(!client.decide(&backend, 5).await?.admitted);
    assert!(!client.decide(&backend, 5).await?.admitted);
    assert_eq!(backend.stats().refused_here, 1);
    assert!(backend.decide(&[client.hit(5).not_enforced()]).await?.is_admitted());
    assert_eq!(granted(&backend.decide(&[client.hit(5).at_least(1)]).await?), [(true, 3, 3)]);
    assert_eq!(backend.stats().refused_here, 1);
    // Nor is their refusal one of others.
    assert!(!backend.decide(&[client.hit(5).at_least(1)]).await?.is_admitted());
    assert!(!client.decide(&backend, 1).await?.admitted);
    assert_eq!(backend.stats().refused_here, 1);
    Ok(())
}

/// Tasks of several connections take what fits until nothing is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_hits_that_take_what_fits_are_granted_the_limit_in_total() -> Result {
    let server = Server::start()?;
    for strategy in [AnyStrategy::from(FixedWindow), SlidingWindowLog.into(), TokenBucket::new().into()] {
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..4 {
            let (backend, strategy) = (builder(&server).connect().await?, strategy.clone());
            tasks.spawn(async move {
                let (key, rate, mut total) = (Key::from("everybody"), Rate::literal("1000/30d"), 0);
                loop {
                    let hit = Hit::new(limit("limit", &strategy), &key, rate, 7 + task).at_least(1);
                    let decision = backend.decide(&[hit]).await?;
                    if !decision.is_admitted() {
                        return Result::Ok(total);
                    }
                    total += decision.outcomes().iter().map(|outcome| outcome.granted).sum::<u64>();
                }
            });
        }
        let mut total = 0;
        while let Some(task) = tasks.join_next().await {
            total += task??;
        }
        assert_eq!(total, 1000, "{strategy:?}");
    }
    Ok(())
}
