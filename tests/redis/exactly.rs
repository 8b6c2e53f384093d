//! Checks that many tasks, connections and processes never exceed a limit.

use std::process::{Command, Stdio};

use tests::{each_strategy, limit};
use tokio::task::JoinSet;
use traffik::{Rate, backend::Backend, client::Key, decision::Hit, strategy::AnyStrategy};
use traffik_redis::RedisBackend;

use crate::{Client, PLENTY, Result, builder, cluster::Cluster, own::CoolDown, server::Server};

/// The environment variable with the server address for the child processes of a test.
const CHILD: &str = "TRAFFIK_TEST_HAMMER";

/// Nothing refills while a test runs.
const RATE: &str = "500/30d";

const ROUNDS: u64 = 300;

fn strategies(limit: u64) -> Vec<AnyStrategy> {
    each_strategy(limit).into_iter().chain([AnyStrategy::custom(CoolDown)]).collect()
}

/// Returns how many calls of many concurrent tasks are admitted.
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
async fn concurrent_tasks_on_several_connections_get_exactly_the_limit() -> Result {
    let server = Server::start()?;
    let (one, other) = (builder(&server).connect().await?, builder(&server).connect().await?);
    for strategy in strategies(500) {
        let (admitted, more) = tokio::join!(hammer(&one, &strategy), hammer(&other, &strategy));
        assert_eq!(admitted? + more?, 500, "{strategy:?}");
    }
    Ok(())
}

#[test]
fn concurrent_processes_get_exactly_the_limit() -> Result {
    processes_on(&Server::start()?.url())
}

#[test]
fn concurrent_processes_on_a_cluster_get_exactly_the_limit() -> Result {
    processes_on(&Cluster::start()?.url())
}

fn processes_on(url: &str) -> Result {
    let start = || {
        Command::new(std::env::current_exe()?)
            .args(["--exact", "exactly::child_process_hammers_the_server", "--nocapture"])
            .env(CHILD, url)
            .stdout(Stdio::piped())
            .spawn()
    };
    let children = (0..3).map(|_| start()).collect::<std::io::Result<Vec<_>>>()?;
    let mut admitted = Admitted::default();
    for child in children {
        let output = child.wait_with_output()?;
        let text = String::from_utf8(output.stdout)?;
        let counts = text.lines().find_map(|line| line.split_once("admitted ")?.1.split_once(" and "));
        let (at_once, in_rounds) = counts.ok_or_else(|| format!("no counts in {text}"))?;
        admitted.at_once += at_once.parse::<u64>()?;
        admitted.in_rounds += in_rounds.parse::<u64>()?;
    }
    assert_eq!(admitted.at_once, 500 * strategies(500).len() as u64);
    assert_eq!(admitted.in_rounds, 20 * ROUNDS);
    Ok(())
}

#[derive(Default)]
struct Admitted {
    /// The admitted calls about one client, for each strategy.
    at_once: u64,
    /// The admitted calls about the client of each round.
    in_rounds: u64,
}

/// The child process. Does nothing in any other run of the tests.
#[tokio::test]
async fn child_process_hammers_the_server() -> Result {
    let Ok(url) = std::env::var(CHILD) else { return Ok(()) };
    let backend = RedisBackend::builder(url).namespace("test:redis").command_timeout(PLENTY).connect().await?;
    let mut admitted = Admitted::default();
    for strategy in strategies(500) {
        admitted.at_once += hammer(&backend, &strategy).await?;
    }
    for round in 0..ROUNDS {
        admitted.in_rounds += hit_in_round(&backend, round).await?;
    }
    println!("admitted {} and {}", admitted.at_once, admitted.in_rounds);
    Ok(())
}

/// Hits each client ten times, then ten times more. Two processes that both do this exceed a limit of 20.
async fn hit_in_round(backend: &RedisBackend, round: u64) -> Result<u64> {
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        let backend = backend.clone();
        let strategies = strategies(20);
        tasks.spawn(async move {
            let (key, strategy) =
                (Key::from(round), strategies.get(usize::try_from(round)? % strategies.len()).ok_or("no strategy")?);
            let hit = Hit::new(limit("round", strategy), &key, Rate::literal("20/30d"), 1);
            let mut admitted = 0;
            for _ in 0..2 {
                admitted += u64::from(backend.decide(&[hit]).await?.is_admitted());
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

/// A tuple of limits is charged with all or none: two limits that all tasks hit together are always equal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_tuples_charge_their_limits_equally() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let (key, strategy) = (Key::from("alice"), AnyStrategy::default());
    let limits = [("small", Rate::literal("50/30d")), ("large", Rate::literal("80/30d"))];
    let mut tasks = JoinSet::new();
    for task in 0..8 {
        let (backend, key, strategy) = (backend.clone(), key.clone(), strategy.clone());
        tasks.spawn(async move {
            let mut hits = limits.map(|(uid, rate)| Hit::new(limit(uid, &strategy), &key, rate, 1));
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
    let hits = limits.map(|(uid, rate)| Hit::new(limit(uid, &strategy), &key, rate, 31));
    let fits: Vec<_> = backend.peek(&hits).await?.outcomes().iter().map(|outcome| outcome.admitted).collect();
    assert_eq!(fits, [false, false]);
    let hits = limits.map(|(uid, rate)| Hit::new(limit(uid, &strategy), &key, rate, 30));
    let fits: Vec<_> = backend.peek(&hits).await?.outcomes().iter().map(|outcome| outcome.admitted).collect();
    assert_eq!(fits, [false, true]);
    Ok(())
}
