//! Permits that several processes share: never more are held than exist, and those of a dead process are free once
//! their leases end.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tests::admits;
use tokio::task::JoinSet;
use traffik::{
    CheckError, DefaultIdentity, Permit, Rate, Settings, Throttle, Traffik, backend::Backend, strategy::Concurrency,
    test::ManualClock,
};
use traffik_redis::{RedisBackend, RedisBackendBuilder};

use crate::{PLENTY, Result, builder, cluster::Cluster, server::Server};

/// The environment variable with the server address for the child process that takes permits.
const CHILD: &str = "TRAFFIK_TEST_PLACES";

throttles! {
    One: "places:one", "1/1h", Settings::new().strategy(Concurrency);
    Ten: "places:ten", "10/1h", Settings::new().strategy(Concurrency);
    Many: "places:many", "5000/1h", Settings::new().strategy(Concurrency);
    Brief: "places:brief", "5/1500ms", Settings::new().strategy(Concurrency);
    Five: "places:five", "5/30s", Settings::new().strategy(Concurrency);
}

fn app(backend: impl Backend) -> Traffik {
    Traffik::builder(backend).backend_timeout(PLENTY).build().unwrap_or_else(|_| Traffik::disabled())
}

async fn free<T: Throttle>(traffik: &Traffik) -> Result<u64> {
    Ok(traffik.limiter::<T>("alice").peek().await?.tightest().remaining().units().unwrap_or(u64::MAX))
}

/// Waits until this many permits are free, and returns the time that took.
async fn until_free<T: Throttle>(traffik: &Traffik, places: u64) -> Result<Duration> {
    let begun = Instant::now();
    while free::<T>(traffik).await? != places {
        if begun.elapsed() > PLENTY * 2 {
            return Err(format!("{} are free, and not {places}", free::<T>(traffik).await?).into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(begun.elapsed())
}

async fn compete(builder: &RedisBackendBuilder) -> Result {
    let (there, most) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let mut tasks = JoinSet::new();
    let mut apps = Vec::new();
    for _ in 0..4 {
        apps.push(app(builder.clone().refusal_max_age(Duration::ZERO).connect().await?));
    }
    for task in 0..500_usize {
        let traffik = apps.get(task % 4).ok_or("an app")?.clone();
        let (there, most) = (Arc::clone(&there), Arc::clone(&most));
        tasks.spawn(async move {
            let mut admitted = 0;
            for turn in 0..4 {
                let permit = match traffik.limiter::<Ten>("alice").check().await {
                    Err(CheckError::Refused(_)) => continue,
                    checked => checked?,
                };
                admitted += 1;
                most.fetch_max(there.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
                tokio::task::yield_now().await;
                there.fetch_sub(1, Ordering::AcqRel);
                match (task + turn) % 3 {
                    0 => drop(permit.refund().await?),
                    1 => {
                        let leaves = tokio::spawn(async move {
                            let _held = permit;
                            std::future::pending::<()>().await;
                        });
                        leaves.abort();
                    }
                    _ => drop(permit),
                }
            }
            Result::Ok(admitted)
        });
    }
    let mut admitted = 0;
    while let Some(done) = tasks.join_next().await {
        admitted += done??;
    }
    let most = most.load(Ordering::Acquire);
    assert!(most <= 10 && admitted > 10, "{most} held concurrently of {admitted}");
    until_free::<Ten>(apps.first().ok_or("an app")?, 10).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn competing_tasks_hold_at_most_ten_permits_and_none_afterwards() -> Result {
    let server = Server::start()?;
    compete(&builder(&server)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn competing_tasks_on_a_cluster_hold_at_most_ten_permits() -> Result {
    let cluster = Cluster::start()?;
    compete(&RedisBackend::builder(cluster.url()).namespace("test:redis").command_timeout(PLENTY)).await
}

/// A cached refusal is dropped as soon as this process releases a permit.
#[tokio::test]
async fn released_permit_is_available_to_a_refused_caller_without_delay() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).refusal_max_age(Duration::from_secs(3600)).connect().await?;
    let traffik = app(backend.clone());
    for _ in 0..20 {
        let held = traffik.limiter::<One>("alice").check().await?;
        let before = backend.stats().refused_here;
        for _ in 0..3 {
            assert!(!admits::<One>(&traffik, "alice").await?);
        }
        assert_eq!(backend.stats().refused_here - before, 2);
        drop(held);
        let begun = Instant::now();
        while !admits::<One>(&traffik, "alice").await? {
            assert!(begun.elapsed() < PLENTY, "it is refused still");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        until_free::<One>(&traffik, 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn thousands_of_concurrent_releases_free_all_permits() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let traffik = Traffik::builder(backend.clone()).backend_timeout(PLENTY).build()?;
    let mut held = Vec::new();
    for _ in 0..5000 {
        held.push(traffik.limiter::<Many>("alice").check().await?);
    }
    assert_eq!(free::<Many>(&traffik).await?, 0);
    let before = backend.stats().calls;
    drop(held);
    until_free::<Many>(&traffik, 5000).await?;
    let calls = backend.stats().calls - before;
    assert!(calls < 3000, "{calls} calls");
    Ok(())
}

/// Renews for many leases, on a manual clock.
#[tokio::test]
async fn permit_is_renewed_as_long_as_it_is_held() -> Result {
    let server = Server::start()?;
    let clock = ManualClock::new();
    let redis = builder(&server).connect().await?.by_hand(clock.clone());
    // Longer than each step of the clock, so that a slow answer still arrives.
    let patient = Traffik::builder(redis.clone()).clock(clock.clone()).backend_timeout(Duration::from_secs(3600));
    let traffik = patient.build()?;
    let held = (traffik.limiter::<Five>("alice").check().await?, traffik.limiter::<Five>("alice").check().await?);
    let elsewhere = Traffik::new(builder(&server).connect().await?.by_hand(clock.clone()))?;
    for _ in 0..50 {
        let before = redis.stats().calls;
        clock.advance(Duration::from_secs(10));
        // The call of the renewal task, and its answer.
        let begun = Instant::now();
        while redis.stats().calls == before && begun.elapsed() < PLENTY {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        until_free::<Five>(&elsewhere, 3).await?;
    }
    drop(held);
    until_free::<Five>(&elsewhere, 5).await?;
    Ok(())
}

/// Redis restarts empty: the held permits are counted again.
#[tokio::test]
async fn held_permits_are_counted_again_once_redis_is_back() -> Result {
    let mut server = Server::start()?;
    let traffik = Traffik::new(builder(&server).connect().await?)?;
    let held = (traffik.limiter::<Brief>("alice").check().await?, traffik.limiter::<Brief>("alice").check().await?);
    server.kill()?;
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.start_again()?;
    let begun = Instant::now();
    while traffik
        .limiter::<Brief>("alice")
        .peek()
        .await
        .map_or(u64::MAX, |limits| limits.tightest().remaining().units().unwrap_or(u64::MAX))
        != 3
    {
        assert!(begun.elapsed() < PLENTY, "the permits are not counted again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(held);
    until_free::<Brief>(&traffik, 5).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permits_of_a_killed_process_are_free_once_their_leases_end() -> Result {
    let server = Server::start()?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "permits::child_process_holds_three_permits", "--nocapture"])
        .env(CHILD, server.url())
        .stdout(Stdio::piped())
        .spawn()?;
    let traffik = app(builder(&server).connect().await?);
    let output = child.stdout.take().ok_or("its output")?;
    let is_there = BufReader::new(output).lines().any(|line| line.is_ok_and(|line| line.contains("three are held")));
    assert!(is_there);
    // Renewed for longer than one lease.
    for _ in 0..25 {
        assert_eq!(free::<Brief>(&traffik).await?, 2);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    child.kill()?;
    child.wait()?;
    until_free::<Brief>(&traffik, 5).await?;
    Ok(())
}

/// The child process. Does nothing in any other run of the tests.
#[tokio::test]
async fn child_process_holds_three_permits() -> Result {
    let Ok(url) = std::env::var(CHILD) else { return Ok(()) };
    let backend = RedisBackend::builder(url).namespace("test:redis").command_timeout(PLENTY).connect().await?;
    let traffik = app(backend);
    let mut held = Vec::<Permit<_>>::new();
    for _ in 0..3 {
        held.push(traffik.limiter::<Brief>("alice").check().await?);
    }
    println!("three are held");
    std::future::pending::<()>().await;
    Ok(())
}
