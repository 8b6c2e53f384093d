//! How soon a dead server is noticed, and how soon the backend reconnects.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{task::JoinSet, time::sleep};
use traffik::strategy::FixedWindow;
use traffik_redis::RedisBackend;

use crate::{Client, Result, builder, link::Link, log::Log, server::Server};

/// The default timeout, on which the documented bounds depend.
const DEADLINE: Duration = traffik_redis::RedisBackendBuilder::DEFAULT_COMMAND_TIMEOUT;

/// The documented bounds.
const BACK_WITHIN: Duration = Duration::from_millis(500);

/// Slack for a busy machine.
const SLACK: Duration = Duration::from_millis(1500);

async fn connect(url: String) -> Result<RedisBackend> {
    Ok(RedisBackend::builder(url).namespace("test:redis").command_timeout(DEADLINE).connect().await?)
}

/// Makes a call and returns its duration.
async fn call(backend: &RedisBackend) -> Result<(bool, Duration)> {
    let (alice, asked) = (Client::new("alice", FixedWindow, "1000000/30d")?, Instant::now());
    let answered = alice.decide(backend, 1).await.is_ok();
    Ok((answered, asked.elapsed()))
}

/// Makes calls until they fail without waiting.
async fn until_noticed(backend: &RedisBackend) -> Result<Duration> {
    let began = Instant::now();
    let mut at_once = 0;
    // A single fast failure may be chance; many in a row are not.
    while at_once < 20 {
        let (answered, took) = call(backend).await?;
        at_once = if !answered && took < DEADLINE / 2 { at_once + 1 } else { 0 };
        assert!(began.elapsed() < Duration::from_secs(10), "calls still wait");
        sleep(Duration::from_millis(1)).await;
    }
    Ok(began.elapsed())
}

async fn until_back(backend: &RedisBackend) -> Result<Duration> {
    let began = Instant::now();
    while !call(backend).await?.0 {
        assert!(began.elapsed() < Duration::from_secs(10), "the backend did not reconnect");
        sleep(Duration::from_millis(1)).await;
    }
    Ok(began.elapsed())
}

#[tokio::test]
async fn killed_server_is_noticed_and_reconnected_in_time() -> Result {
    let mut server = Server::start()?;
    let backend = connect(server.url()).await?;
    for _ in 0..2 {
        server.kill()?;
        let noticed = until_noticed(&backend).await?;
        assert!(noticed < BACK_WITHIN + SLACK, "{noticed:?}");
        server.start_again()?;
        let back = until_back(&backend).await?;
        assert!(back < BACK_WITHIN + SLACK, "{back:?}");
    }
    Ok(())
}

#[tokio::test]
async fn hanging_server_is_noticed_and_reconnected_in_time() -> Result {
    let server = Server::start()?;
    let backend = connect(server.url()).await?;
    for _ in 0..2 {
        server.hang()?;
        let noticed = until_noticed(&backend).await?;
        assert!(noticed < BACK_WITHIN + SLACK, "{noticed:?}");
        server.go_on()?;
        let back = until_back(&backend).await?;
        assert!(back < BACK_WITHIN + SLACK, "{back:?}");
    }
    Ok(())
}

/// Hangs until every kind of connection attempt has failed.
#[tokio::test]
async fn server_that_hangs_for_seconds_is_reconnected_in_time() -> Result {
    let server = Server::start()?;
    let backend = connect(server.url()).await?;
    server.hang()?;
    until_noticed(&backend).await?;
    let hung = Instant::now();
    while hung.elapsed() < Duration::from_secs(3) {
        let (answered, took) = call(&backend).await?;
        assert!(!answered && took < DEADLINE + SLACK, "{took:?}");
        sleep(Duration::from_millis(5)).await;
    }
    server.go_on()?;
    let back = until_back(&backend).await?;
    assert!(back < BACK_WITHIN + SLACK, "{back:?}");
    Ok(())
}

#[tokio::test]
async fn silently_cut_connection_is_noticed_in_time() -> Result {
    let server = Server::start()?;
    let link = Link::to(server.port()).await?;
    let backend = connect(link.url()).await?;
    for _ in 0..2 {
        link.cut();
        let noticed = until_noticed(&backend).await?;
        assert!(noticed < BACK_WITHIN + SLACK, "{noticed:?}");
        link.mend();
        let back = until_back(&backend).await?;
        assert!(back < BACK_WITHIN + SLACK, "{back:?}");
    }
    Ok(())
}

/// Like a router that forgets a connection: it is dead, but a new one would work.
#[tokio::test]
async fn forgotten_connection_is_replaced_in_time() -> Result {
    let server = Server::start()?;
    let link = Link::to(server.port()).await?;
    let backend = connect(link.url()).await?;
    link.cut();
    assert!(!call(&backend).await?.0);
    link.mend();
    let back = until_back(&backend).await?;
    assert!(back < BACK_WITHIN + SLACK, "{back:?}");
    Ok(())
}

/// Many callers fill the buffers of a server that does not read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_server_under_load_is_noticed_in_time() -> Result {
    let server = Server::start()?;
    let backend = connect(server.url()).await?;
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for _ in 0..64 {
        let (backend, over) = (backend.clone(), Arc::clone(&over));
        callers.spawn(async move {
            let (mut slowest, mut answered) = (Duration::ZERO, 0);
            while !over.load(Ordering::Relaxed) {
                let (is_answered, took) = call(&backend).await?;
                slowest = slowest.max(took);
                answered += u64::from(is_answered);
                if !is_answered {
                    sleep(Duration::from_millis(1)).await;
                }
            }
            Result::Ok((slowest, answered))
        });
    }
    sleep(Duration::from_millis(100)).await;
    server.hang()?;
    until_noticed(&backend).await?;
    server.go_on()?;
    let back = until_back(&backend).await?;
    assert!(back < BACK_WITHIN + SLACK, "{back:?}");

    over.store(true, Ordering::Relaxed);
    let mut all = 0;
    while let Some(done) = callers.join_next().await {
        let (slowest, answered) = done??;
        assert!(slowest < DEADLINE + SLACK, "{slowest:?}");
        all += answered;
    }
    // All answered calls are charged, and at most all unanswered ones as well.
    let alice = Client::new("alice", FixedWindow, "1000000/30d")?.decide(&backend, 0).await?;
    let charged = alice.past.ok_or("nothing was charged")?.state.words()[1];
    let stats = backend.stats();
    assert!(charged >= all && charged <= all + 1 + stats.late + stats.in_doubt, "{all} of {charged}, {stats:?}");
    assert!(stats.given_up >= 1, "{stats:?}");
    Ok(())
}

/// Like a manual failover, or a service that moves a name to another server: the connections to the old primary stay
/// open.
#[tokio::test]
async fn demoted_primary_is_left_in_time() -> Result {
    let (server, other) = (Server::start()?, Server::start()?);
    let (log, _guard) = Log::begin();
    let backend = builder(&server).connect().await?;
    assert!(call(&backend).await?.0);
    server.raw()?.call(&["REPLICAOF", "127.0.0.1", &other.port().to_string()])?;
    assert!(!call(&backend).await?.0);
    let began = Instant::now();
    // Repeatedly, since another server may be found at the same name.
    while backend.stats().given_up < 5 {
        assert!(began.elapsed() < Duration::from_secs(5), "the backend keeps a read-only server");
        assert!(!call(&backend).await?.0);
        sleep(Duration::from_millis(5)).await;
    }
    // The log does not repeat this for each attempt.
    assert_eq!(log.text().matches("no connection to Redis").count(), 1, "{}", log.text());
    server.raw()?.call(&["REPLICAOF", "NO", "ONE"])?;
    let back = until_back(&backend).await?;
    assert!(back < BACK_WITHIN + SLACK, "{back:?}");
    Ok(())
}
