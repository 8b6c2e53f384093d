//! A primary under sentinels: when it fails, its replica takes over, and decisions continue there.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tests::until;
use tokio::time::sleep;
use traffik::{DefaultIdentity, Rate, Settings, Throttle, Traffik, strategy::FixedWindow};
use traffik_redis::RedisBackend;

use crate::{
    Client, PLENTY, Result,
    permissions::known_user,
    raw::{Raw, Reply},
    server::{Folder, Server, free_port},
    stalled::{Operation, kept},
};

throttles! {
    Changed: "sentinels:changed", "3/hour", Settings::new();
}

/// The time until a replica is primary: the timeout and vote of the sentinels, and slack for a busy machine.
const FAILOVER: Duration = Duration::from_secs(20);

const DEADLINE: Duration = Duration::from_millis(200);

/// Slack for a busy machine.
const SLACK: Duration = Duration::from_millis(800);

struct Sentinel {
    port: u16,
    process: Child,
    _folder: Folder,
}

impl Sentinel {
    fn start(primary: u16) -> Result<Self> {
        let (folder, port) = (Folder::new()?, free_port()?);
        let settings = folder.path().join("sentinel.conf");
        std::fs::write(
            &settings,
            format!(
                "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {primary} 2\n\
                 sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n",
                folder.path().display()
            ),
        )?;
        let process = Command::new("redis-server").arg(&settings).arg("--sentinel").stdout(Stdio::null()).spawn()?;
        Ok(Self { port, process, _folder: folder })
    }

    fn call(&self, words: &[&str]) -> Result<Reply> {
        Raw::connect(self.port)?.call(words)
    }

    /// Returns whether the sentinel knows the replica and the other sentinels.
    fn is_ready(&self) -> Result<bool> {
        Ok(self.call(&["SENTINEL", "CKQUORUM", "main"])?.text().starts_with("OK 3 usable")
            && self.call(&["INFO", "sentinel"])?.text().contains("slaves=1,sentinels=3"))
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Trial {
    primary: Server,
    _replica: Server,
    sentinels: Vec<Sentinel>,
    backend: RedisBackend,
}

impl Trial {
    async fn begin() -> Result<Self> {
        let primary = Server::start_with(&known_user()?)?;
        let replica_of = format!("--replicaof 127.0.0.1 {} --repl-diskless-sync-delay 0", primary.port());
        let replica_of = replica_of.split(' ').map(str::to_owned).collect();
        let replica = Server::start_with(&[replica_of, known_user()?].concat())?;
        let sentinels = (0..3).map(|_| Sentinel::start(primary.port())).collect::<Result<Vec<_>>>()?;
        for sentinel in &sentinels {
            let began = Instant::now();
            while !sentinel.is_ready().unwrap_or(false) {
                assert!(began.elapsed() < FAILOVER, "the sentinels do not find each other");
                sleep(Duration::from_millis(20)).await;
            }
        }
        let nodes: Vec<_> = sentinels.iter().map(|sentinel| format!("node=127.0.0.1:{}", sentinel.port)).collect();
        // The first address in the list has no sentinel.
        let url = format!(
            "redis-sentinel://limits:secret@127.0.0.1:{}/0?sentinelServiceName=main&{}",
            free_port()?,
            nodes.join("&")
        );
        let backend = RedisBackend::builder(url).namespace("test:redis").command_timeout(DEADLINE).connect().await?;
        let trial = Self { primary, _replica: replica, sentinels, backend };
        assert_eq!(trial.charge(2).await?, 2);
        // Charges that did not reach the replica are lost. This test is not about them.
        trial.primary.raw()?.call(&["WAIT", "1", "5000"])?;
        Ok(trial)
    }

    /// Charges once and returns the total charge.
    async fn charge(&self, cost: u64) -> Result<u64> {
        let outcome = Client::new("alice", FixedWindow, "1000000/30d")?.decide(&self.backend, cost).await?;
        Ok(outcome.past.ok_or("nothing was charged")?.state.words()[1])
    }

    async fn until_served(&self) -> Result {
        let began = Instant::now();
        loop {
            let asked = Instant::now();
            let charged = self.charge(1).await;
            assert!(asked.elapsed() < DEADLINE + SLACK, "{:?}", asked.elapsed());
            if let Ok(charged) = charged {
                assert!(charged >= 3, "earlier charges are lost");
                if self.is_elsewhere()? {
                    return Ok(());
                }
            }
            assert!(began.elapsed() < FAILOVER, "decisions do not continue");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns whether the sentinels name another primary.
    fn is_elsewhere(&self) -> Result<bool> {
        let sentinel = self.sentinels.first().ok_or("no sentinel")?;
        let Reply::List(named) = sentinel.call(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"])? else {
            return Err("no primary is named".into());
        };
        Ok(named.last().map(Reply::text) != Some(self.primary.port().to_string()))
    }
}

#[tokio::test]
async fn killed_primary_is_replaced_by_its_replica() -> Result {
    let mut trial = Trial::begin().await?;
    trial.primary.kill()?;
    trial.until_served().await
}

#[tokio::test]
async fn hanging_primary_is_replaced_by_its_replica() -> Result {
    let trial = Trial::begin().await?;
    trial.primary.hang()?;
    // Calls that are never polled again do not block others.
    let kept = kept(100, || Operation::Decide.start(&trial.backend)).await;
    trial.until_served().await?;
    drop(kept);
    // The server returns as a replica, and the backend stays on the new primary.
    trial.primary.go_on()?;
    let (began, mut before) = (Instant::now(), trial.charge(1).await?);
    while began.elapsed() < Duration::from_millis(500) {
        let charged = trial.charge(1).await?;
        assert_eq!(charged, before + 1);
        before = charged;
    }
    Ok(())
}

#[tokio::test]
async fn failover_on_command_moves_decisions_to_the_replica() -> Result {
    let trial = Trial::begin().await?;
    trial.sentinels.first().ok_or("no sentinel")?.call(&["SENTINEL", "FAILOVER", "main"])?;
    trial.until_served().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_changes_hold_and_are_made_after_a_failover() -> Result {
    let mut trial = Trial::begin().await?;
    let backend = trial.backend.clone();
    let app = || Traffik::builder(backend.clone()).backend_timeout(PLENTY).register::<Changed>().build();
    let rate = |traffik: &Traffik| Some(traffik.limit(Changed::UID).ok()?.info().ok()?.rate().value());
    let (before, five, six) = (app()?, Rate::literal("5/hour"), Rate::literal("6/hour"));
    before.shared().limit(Changed::UID)?.set_rate(five).await?;
    // A connection waits for its own writes, and so for all before them.
    let mut raw = trial.primary.raw()?;
    raw.call(&["SET", "written", "last"])?;
    assert_eq!(raw.call(&["WAIT", "1", "5000"])?.integer(), Some(1));
    trial.primary.kill()?;
    trial.until_served().await?;

    let after = app()?;
    after.shared().refresh().await?;
    assert_eq!(rate(&after), Some(five));
    after.shared().limit(Changed::UID)?.set_rate(six).await?;
    until("the app that was there before applies it", async || rate(&before) == Some(six)).await;
    Ok(())
}
