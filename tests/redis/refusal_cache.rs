//! Refusals that are repeated from the local cache, without calling Redis.

use std::time::{Duration, Instant};

use tests::limit;
use tokio::time::sleep;
use traffik::{
    backend::Backend,
    decision::{Charge, Hit, LimitStatus},
    strategy::{FixedWindow, Gcra, LeakyBucketWithQueue, SlidingWindowCounter, SlidingWindowLog, TokenBucket},
};
use traffik_redis::RedisBackend;

use crate::{Client, Result, builder, server::Server};

/// Returns how often programs ran on the server.
fn programs(server: &Server) -> Result<u64> {
    let run = server.raw()?.commands_run()?;
    Ok(run.iter().filter(|(name, _)| name.starts_with("eval")).map(|(_, calls)| calls).sum())
}

async fn blocked(backend: &RedisBackend) -> Result<Client> {
    let client = Client::new("mallory", FixedWindow, "3/30d")?;
    while client.decide(backend, 1).await?.admitted {}
    Ok(client)
}

#[tokio::test]
async fn refused_client_reaches_redis_once_per_max_age() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let client = blocked(&backend).await?;
    let (before, started) = (programs(&server)?, Instant::now());
    let mut refused = 0;
    while started.elapsed() < Duration::from_millis(2_500) {
        assert!(!client.decide(&backend, 1).await?.admitted);
        refused += 1;
    }
    let asked = programs(&server)? - before;
    let seconds = started.elapsed().as_secs();
    assert!((2..=seconds + 1).contains(&asked), "{asked} calls in {seconds} s");
    assert!(refused > 1_000, "{refused}");
    assert!(backend.stats().refused_here >= refused - asked);
    Ok(())
}

#[tokio::test]
async fn refusal_cache_can_be_disabled() -> Result {
    let server = Server::start()?;
    for off in [builder(&server).refusal_max_age(Duration::ZERO), builder(&server).refusal_capacity(0)] {
        let backend = off.connect().await?;
        let client = blocked(&backend).await?;
        let before = programs(&server)?;
        for _ in 0..20 {
            client.decide(&backend, 1).await?;
        }
        assert_eq!(programs(&server)? - before, 20);
        assert_eq!(backend.stats().refused_here, 0);
    }
    Ok(())
}

/// The client is admitted when its wait is over, to the millisecond, and is not refused longer.
#[tokio::test]
async fn cached_refusal_ends_with_its_wait() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    for (name, client) in [
        ("gcra", Client::new("gcra", Gcra::new(), "20/s")?),
        ("bucket", Client::new("bucket", TokenBucket::new().burst(2), "20/s")?),
        ("queue", Client::new("queue", LeakyBucketWithQueue::new().queue(2), "20/s")?),
        ("delay", Client::new("delay", LeakyBucketWithQueue::new().max_delay(Duration::from_millis(75)), "20/s")?),
        ("window", Client::new("window", FixedWindow, "1/50ms")?),
        ("counter", Client::new("counter", SlidingWindowCounter, "2/50ms")?),
    ] {
        let mut waits = 0;
        for _ in 0..5 {
            let refused = loop {
                let outcome = client.decide(&backend, 1).await?;
                if !outcome.admitted {
                    break outcome;
                }
            };
            let standing = LimitStatus::new(&client.strategy, client.rate, &refused);
            let wait = standing.retry_after().ok_or("no wait")?;
            assert!(wait <= Duration::from_millis(400), "{name}: {wait:?}");
            sleep(wait).await;
            let after = client.decide(&backend, 1).await?;
            assert!(after.admitted, "{name}: waited {wait:?} of {refused:?}, then got {after:?}");
            waits += 1;
        }
        assert_eq!(waits, 5);
    }
    assert!(backend.stats().refused_here < backend.stats().decisions);
    Ok(())
}

#[tokio::test]
async fn local_refund_reset_or_clear_drops_the_cached_refusal() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let client = blocked(&backend).await?;
    let hit = || client.hit(1);

    let charged_at = client.decide(&backend, 0).await?.at;
    assert!(!client.decide(&backend, 1).await?.admitted);
    backend.adjust(&[Charge::new(hit(), charged_at).refund()]).await?;
    assert!(client.decide(&backend, 1).await?.admitted);

    assert!(!client.decide(&backend, 1).await?.admitted);
    backend.reset(&[hit()]).await?;
    assert!(client.decide(&backend, 1).await?.admitted);

    blocked(&backend).await?;
    backend.clear().await?;
    assert!(client.decide(&backend, 1).await?.admitted);
    Ok(())
}

#[tokio::test]
async fn refund_by_another_process_is_seen_after_max_age() -> Result {
    let server = Server::start()?;
    let (here, there) = (
        builder(&server).refusal_max_age(Duration::from_millis(300)).connect().await?,
        builder(&server).connect().await?,
    );
    let client = blocked(&here).await?;
    there.reset(&[client.hit(1)]).await?;
    let reset = Instant::now();
    assert!(there.decide(&[client.hit(1)]).await?.is_admitted());
    while !client.decide(&here, 1).await?.admitted {
        assert!(reset.elapsed() < Duration::from_secs(5), "the client is still refused");
    }
    assert!(reset.elapsed() < Duration::from_millis(300) + Duration::from_millis(700), "{:?}", reset.elapsed());
    Ok(())
}

/// A lower cost may fit. A higher cost does not if a lower one does not.
#[tokio::test]
async fn cached_refusal_applies_to_costs_that_do_not_fit() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let client = Client::new("alice", FixedWindow, "10/30d")?;
    client.decide(&backend, 6).await?;
    assert!(!client.decide(&backend, 5).await?.admitted);
    let before = programs(&server)?;
    for cost in [5, 6, 10, 11, u64::MAX] {
        assert!(!client.decide(&backend, cost).await?.admitted);
    }
    assert_eq!(programs(&server)?, before);
    let fits = client.decide(&backend, 4).await?;
    assert!(fits.admitted && programs(&server)? == before + 1);
    // Later charges are included.
    let refused = client.decide(&backend, 5).await?;
    assert_eq!(refused.past.map(|past| past.state.words()[1]), Some(10));
    Ok(())
}

/// Several limits in one decision are refused locally if the status of all of them is known, and the refusal reports
/// all.
#[tokio::test]
async fn cached_refusal_of_two_limits_reports_both() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let (burst, sustained) =
        (Client::new("alice", Gcra::new(), "1/30d")?, Client::new("alice", FixedWindow, "100/30d")?);
    let hits = [burst.hit(1), Hit::new(limit("sustained", &sustained.strategy), &sustained.key, sustained.rate, 1)];
    assert!(backend.decide(&hits).await?.is_admitted());
    let by_redis = backend.decide(&hits).await?;
    let before = programs(&server)?;
    for _ in 0..10 {
        let here = backend.decide(&hits).await?;
        assert!(!here.is_admitted());
        for (here, by_redis) in here.outcomes().iter().zip(by_redis.outcomes()) {
            assert_eq!((here.admitted, here.cost, &here.past), (by_redis.admitted, by_redis.cost, &by_redis.past));
            assert!(here.at >= by_redis.at);
        }
    }
    assert_eq!(programs(&server)?, before);

    // The other limit alone has room, and is charged.
    assert!(backend.decide(&hits[1..]).await?.is_admitted());
    let after = backend.decide(&hits).await?;
    assert_eq!(after.outcomes()[1].past.as_ref().map(|past| past.state.words()[1]), Some(2));
    Ok(())
}

#[tokio::test]
async fn refusal_cache_stays_within_its_capacity() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).refusal_capacity(10).connect().await?;
    let names: Vec<String> = (0..200).map(|n| format!("client-{n}")).collect();
    let rate = "1/30d".parse()?;
    let strategy = FixedWindow.into();
    let mut refused_here = 0;
    for round in 0..3 {
        for name in &names {
            let key = traffik::client::Key::from(name.clone());
            let hit = Hit::new(limit("limit", &strategy), &key, rate, 1);
            assert_eq!(backend.decide(&[hit]).await?.is_admitted(), round == 0);
        }
        refused_here = backend.stats().refused_here;
    }
    assert!(refused_here <= 20, "{refused_here} of 10");
    Ok(())
}

/// For a log the cache holds one cost only. A higher cost is sent to Redis and gets an exact wait.
#[tokio::test]
async fn cached_log_refusal_applies_to_its_cost_only() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let client = Client::new("alice", SlidingWindowLog, "10/30s")?;
    for _ in 0..10 {
        assert!(client.decide(&backend, 1).await?.admitted);
        sleep(Duration::from_millis(50)).await;
    }
    let wait = |outcome| LimitStatus::new(&client.strategy, client.rate, outcome).retry_after();
    let by_redis = client.decide(&backend, 2).await?;
    let fresh = builder(&server).connect().await?;
    assert!(!client.decide(&fresh, 1).await?.admitted);
    let here = client.decide(&fresh, 2).await?;
    let (by_redis, here) = (wait(&by_redis).ok_or("no wait")?, wait(&here).ok_or("no wait")?);
    assert!(here <= by_redis, "{here:?} and not {by_redis:?}");
    Ok(())
}

#[tokio::test]
async fn refusal_cache_of_any_capacity_works() -> Result {
    let server = Server::start()?;
    for capacity in [1, 1 << 32, usize::MAX] {
        let backend = builder(&server).refusal_capacity(capacity).connect().await?;
        blocked(&backend).await?;
    }
    Ok(())
}
