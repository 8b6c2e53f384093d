//! Servers that are not running yet when the app starts.

use std::time::{Duration, Instant};

use tokio::time::sleep;
use traffik::{
    backend::{Backend, BackendError},
    strategy::FixedWindow,
};
use traffik_redis::{Error, RedisBackend};

use crate::{
    Client, PLENTY, Result, builder,
    log::Log,
    server::{Server, free_port},
};

fn alice() -> Result<Client> {
    Client::new("alice", FixedWindow, "5/30d")
}

#[tokio::test]
async fn server_started_after_the_app_is_connected() -> Result {
    let mut server = Server::not_started::<&str>(&[])?;
    let (log, _guard) = Log::begin();
    let backend = builder(&server).connect_lazy()?;
    let asked = Instant::now();
    for _ in 0..5 {
        let error = alice()?.decide(&backend, 1).await.err().ok_or("nothing answered")?;
        assert!(error.to_string().contains("refused"), "{error}");
    }
    // The call fails before its deadline, which is far away.
    assert!(asked.elapsed() < PLENTY / 4, "{:?}", asked.elapsed());
    assert_eq!(log.text().matches("no connection to Redis").count(), 1, "{}", log.text());

    server.start_again()?;
    let back = Instant::now();
    while alice()?.decide(&backend, 1).await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(5), "the backend did not connect");
        sleep(Duration::from_millis(5)).await;
    }
    assert!(log.text().contains("connected to Redis again") && !log.text().contains("ERROR"), "{}", log.text());
    Ok(())
}

#[tokio::test]
async fn cluster_started_after_the_app_is_connected() -> Result {
    let bus = free_port()?.to_string();
    let mut server = Server::not_started(&["--cluster-enabled", "yes", "--cluster-port", &bus])?;
    let (log, _guard) = Log::begin();
    let address = server.url().replace("redis://", "redis-cluster://");
    let backend = RedisBackend::builder(address).namespace("test:redis").command_timeout(PLENTY).connect_lazy()?;
    let error = alice()?.decide(&backend, 1).await.err().ok_or("nothing answered")?;
    assert!(error.to_string().contains("refused"), "{error}");

    server.start_again()?;
    server.serve_all_slots()?;
    let back = Instant::now();
    while alice()?.decide(&backend, 1).await.is_err() {
        assert!(back.elapsed() < Duration::from_secs(10), "the backend did not connect");
        sleep(Duration::from_millis(5)).await;
    }
    assert!(!log.text().contains("ERROR"), "{}", log.text());
    Ok(())
}

/// The first requests after a start do not fail.
#[tokio::test]
async fn lazy_connection_waits_for_a_running_server() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect_lazy()?;
    assert!(alice()?.decide(&backend, 1).await?.admitted);
    Ok(())
}

#[tokio::test]
async fn unsuitable_server_of_a_lazy_connection_is_logged_once() -> Result {
    let primary = Server::start()?;
    let replica = Server::start_with(&["--replicaof", "127.0.0.1", &primary.port().to_string()])?;
    let (log, _guard) = Log::begin();
    let backend = builder(&replica).connect_lazy()?;
    let started = Instant::now();
    while !log.text().contains("ERROR") {
        assert!(started.elapsed() < Duration::from_secs(5), "{}", log.text());
        assert!(alice()?.decide(&backend, 1).await.is_err());
        sleep(Duration::from_millis(5)).await;
    }
    assert!(log.text().contains("it is a replica"), "{}", log.text());
    assert_eq!(log.text().matches("ERROR").count(), 1, "{}", log.text());
    Ok(())
}

#[tokio::test]
async fn wrong_configuration_fails_without_connecting() -> Result {
    let lazy = |address: &str| RedisBackend::builder(address).namespace("test:redis").connect_lazy();
    assert!(matches!(lazy("http://localhost"), Err(Error::Address(_))));
    assert!(matches!(RedisBackend::builder("redis://localhost").connect_lazy(), Err(Error::NoNamespace)));
    Ok(())
}

#[tokio::test]
async fn backend_without_a_server_can_be_closed() -> Result {
    let server = Server::not_started::<&str>(&[])?;
    let backend = builder(&server).connect_lazy()?;
    backend.close().await?;
    assert!(matches!(alice()?.decide(&backend, 1).await, Err(BackendError::Closed)));
    Ok(())
}

/// Dropping the backend stops a connection attempt in progress.
#[tokio::test]
async fn backend_dropped_while_connecting_leaves_no_connection() -> Result {
    let server = Server::start()?;
    let mut raw = server.raw()?;
    for _ in 0..5 {
        server.hang()?;
        let backend = builder(&server).connect_lazy()?;
        // This makes it wait for the first answer.
        sleep(Duration::from_millis(50)).await;
        drop(backend);
        server.go_on()?;
    }
    let dropped = Instant::now();
    while raw.call(&["CLIENT", "LIST"])?.text().lines().count() > 1 {
        assert!(dropped.elapsed() < Duration::from_secs(5), "{}", raw.call(&["CLIENT", "LIST"])?.text());
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
