//! Never more than the limit, from however many tasks, connections and processes.

use std::process::{Command, Stdio};

use tokio::task::JoinSet;
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    decision::Hit,
    strategy::{AnyStrategy, FixedWindow, Gcra, LeakyBucket, SlidingWindowCounter, SlidingWindowLog, TokenBucket},
};
use traffik_redis::RedisBackend;

use crate::{Client, Result, builder, own::CoolDown, server::Server};

/// The address of the server that this process, started by a test, is to hammer.
const CHILD: &str = "TRAFFIK_TEST_HAMMER";

/// Nothing comes back while a test runs.
const RATE: &str = "500/30d";

fn strategies() -> Vec<AnyStrategy> {
    vec![
        FixedWindow.into(),
        SlidingWindowCounter.into(),
        SlidingWindowLog.into(),
        TokenBucket::new().into(),
        LeakyBucket::new().into(),
        Gcra::new().burst(500).into(),
        AnyStrategy::own(CoolDown),
    ]
}

/// How many of the calls of many tasks are admitted.
async fn hammer(backend: &RedisBackend, strategy: &AnyStrategy) -> Result<u64> {
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (backend, client) = (backend.clone(), Client::new("everybody", strategy.clone(), RATE)?);
        tasks.spawn(async move {
            let mut admitted = 0;
            for _ in 0..20 {
                admitted += u64::from(client.decide(&backend, 1).await?.admitted);
            }
            Result::Ok(admitted)
        });
    }
    let mut admitted = 0;
    while let Some(done) = tasks.join_next().await {
        admitted += done??;
    }
    Ok(admitted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_on_several_connections() -> Result {
    let server = Server::start()?;
    let (one, other) = (builder(&server).connect().await?, builder(&server).connect().await?);
    for strategy in strategies() {
        let (admitted, more) = tokio::join!(hammer(&one, &strategy), hammer(&other, &strategy));
        assert_eq!(admitted? + more?, 500, "{strategy:?}");
    }
    Ok(())
}

#[test]
fn processes() -> Result {
    let server = Server::start()?;
    let start = || {
        Command::new(std::env::current_exe()?)
            .args(["--exact", "exactly::a_process_of_several", "--nocapture"])
            .env(CHILD, server.url())
            .stdout(Stdio::piped())
            .spawn()
    };
    let children = (0..3).map(|_| start()).collect::<std::io::Result<Vec<_>>>()?;
    let mut admitted = 0;
    for child in children {
        let output = child.wait_with_output()?;
        let text = String::from_utf8(output.stdout)?;
        let count = text.lines().find_map(|line| line.split_once("admitted ")?.1.trim().parse::<u64>().ok());
        admitted += count.ok_or_else(|| format!("no count in {text}"))?;
    }
    assert_eq!(admitted, 500 * strategies().len() as u64);
    Ok(())
}

/// One of those processes, and in any other run of the tests nothing.
#[tokio::test]
async fn a_process_of_several() -> Result {
    let Ok(url) = std::env::var(CHILD) else { return Ok(()) };
    let timeout = std::time::Duration::from_secs(10);
    let backend = RedisBackend::builder(url).namespace("test:redis").command_timeout(timeout).connect().await?;
    let mut admitted = 0;
    for strategy in strategies() {
        admitted += hammer(&backend, &strategy).await?;
    }
    println!("admitted {admitted}");
    Ok(())
}

/// A tuple of limits is charged whole or not at all: of two that everybody hits together, neither is ever ahead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_limits_at_once() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let (key, strategy) = (Key::from("alice"), AnyStrategy::default());
    let limits = [("small", Rate::literal("50/30d")), ("large", Rate::literal("80/30d"))];
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let (backend, key, strategy) = (backend.clone(), key.clone(), strategy.clone());
        tasks.spawn(async move {
            let mut hits = limits.map(|(uid, rate)| Hit { uid, key: &key, strategy: &strategy, rate, cost: 1 });
            if task % 2 == 0 {
                hits.reverse();
            }
            for _ in 0..20 {
                backend.decide(&hits).await?;
            }
            Result::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let hits = limits.map(|(uid, rate)| Hit { uid, key: &key, strategy: &strategy, rate, cost: 31 });
    let fits: Vec<_> = backend.peek(&hits).await?.outcomes().iter().map(|outcome| outcome.admitted).collect();
    assert_eq!(fits, [false, false]);
    let hits = limits.map(|(uid, rate)| Hit { uid, key: &key, strategy: &strategy, rate, cost: 30 });
    let fits: Vec<_> = backend.peek(&hits).await?.outcomes().iter().map(|outcome| outcome.admitted).collect();
    assert_eq!(fits, [false, true]);
    Ok(())
}
