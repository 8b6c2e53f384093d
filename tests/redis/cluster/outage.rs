//! A primary that is killed or hangs: its replica takes over, and other clients are not affected. A cluster that is down.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use traffik::backend::BackendError;
use traffik_redis::RedisBackend;

use super::{Cluster, charge, client, clients_of};
use crate::{Result, stalled::kept};

/// The time until a replica has the slots: the cluster's own timeout, the votes, and slack for a busy machine.
const FAILOVER: Duration = Duration::from_secs(15);

const DEADLINE: Duration = Duration::from_millis(200);

/// Slack for a busy machine.
const SLACK: Duration = Duration::from_millis(800);

struct Trial {
    cluster: Cluster,
    backend: RedisBackend,
    victim: u64,
    others: Vec<u64>,
}

impl Trial {
    async fn begin() -> Result<Self> {
        let cluster = Cluster::start()?;
        let backend = cluster.builder().command_timeout(DEADLINE).connect().await?;
        let victim = clients_of(&cluster, 0, 1)?.pop().ok_or("no client")?;
        let others = [clients_of(&cluster, 1, 2)?, clients_of(&cluster, 2, 2)?].concat();
        for &number in others.iter().chain([&victim]) {
            charge(&backend, number).await?;
        }
        // Charges that did not reach the replica are lost. This test is not about them.
        cluster.node(0)?.raw()?.call(&["WAIT", "1", "5000"])?;
        Ok(Self { cluster, backend, victim, others })
    }

    /// Keeps charging all clients until the victim is served again, and returns how often it was not.
    async fn until_served(&self) -> Result<u32> {
        let (began, mut errors, mut charged) = (Instant::now(), 0, 1);
        loop {
            let asked = Instant::now();
            let outcome = client(self.victim)?.decide(&self.backend, 1).await;
            assert!(asked.elapsed() < DEADLINE + SLACK, "{:?}", asked.elapsed());
            if let Ok(outcome) = outcome {
                // Earlier charges are still stored.
                assert!(super::used(self.victim, &outcome)? >= 2);
                return Ok(errors);
            }
            errors += 1;
            charged += 1;
            for &number in &self.others {
                let asked = Instant::now();
                assert_eq!(charge(&self.backend, number).await?, charged);
                assert!(asked.elapsed() < DEADLINE + SLACK, "{:?}", asked.elapsed());
            }
            assert!(began.elapsed() < FAILOVER, "no replica took over");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn killed_primary_is_replaced_by_its_replica() -> Result {
    let mut trial = Trial::begin().await?;
    trial.cluster.kill(0)?;
    let errors = trial.until_served().await?;
    assert!(errors > 0);
    Ok(())
}

#[tokio::test]
async fn hanging_primary_is_replaced_by_its_replica() -> Result {
    let trial = Trial::begin().await?;
    trial.cluster.node(0)?.hang()?;
    // Calls that are never polled again do not block others.
    let kept = kept(40, || {
        let (backend, victim) = (trial.backend.clone(), trial.victim);
        Box::pin(async move { client(victim).map_err(BackendError::unavailable)?.decide(&backend, 0).await.map(drop) })
    })
    .await;
    let errors = trial.until_served().await?;
    drop(kept);
    assert!(errors > 0);

    assert!(trial.backend.stats().given_up > 0);

    // The server returns as a replica, and its clients stay on the new primary.
    trial.cluster.node(0)?.go_on()?;
    let began = Instant::now();
    let mut used = charge(&trial.backend, trial.victim).await?;
    while began.elapsed() < Duration::from_millis(500) {
        let after = charge(&trial.backend, trial.victim).await?;
        assert_eq!(after, used + 1);
        used = after;
    }
    Ok(())
}

/// Every server answers CLUSTERDOWN, which ran nothing: not even a warning that a charge may be lost.
#[tokio::test]
async fn cluster_that_is_down_charges_nothing() -> Result {
    let cluster = Cluster::start()?;
    let backend = cluster.builder().connect().await?;
    let clients = [clients_of(&cluster, 0, 2)?, clients_of(&cluster, 1, 2)?].concat();
    for &number in &clients {
        assert_eq!(charge(&backend, number).await?, 1);
    }
    let slot = cluster.slot("of nobody")?;
    cluster.go_down(slot)?;
    for &number in &clients {
        let answer = client(number)?.decide(&backend, 1).await;
        assert!(matches!(answer, Err(BackendError::NotRun(_))), "{answer:?}");
    }
    let stats = backend.stats();
    assert_eq!((stats.in_doubt, stats.given_up), (0, 0), "{stats:?}");

    cluster.come_back(slot)?;
    for &number in &clients {
        assert_eq!(charge(&backend, number).await?, 2);
    }
    Ok(())
}
