//! The settings that all processes of a namespace share.

use tests::limit;
use tokio::task::JoinSet;
use traffik::{
    Rate,
    backend::{Backend, Control, ControlRequest},
    client::Key,
    decision::Hit,
    strategy::AnyStrategy,
};
use traffik_redis::RedisBackend;

use crate::{PLENTY, Result, builder, cluster::Cluster, permissions::known_user, server::Server};

async fn read(backend: &RedisBackend, known: u64) -> Result<Control> {
    Ok(backend.control(ControlRequest::Read { known }).await?)
}

async fn replace(backend: &RedisBackend, name: &str, expected: Option<&str>, value: Option<&str>) -> Result<Control> {
    Ok(backend.control(ControlRequest::Replace { name, expected, value }).await?)
}

fn settings(all: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
    Some(all.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Replaces and removes settings, and reads them by their version.
async fn whole_life(backend: &RedisBackend) -> Result {
    assert_eq!(read(backend, 0).await?, Control::new(0, None));
    assert_eq!(read(backend, 7).await?, Control::new(0, settings(&[])));
    let first = replace(backend, "rate:search", None, Some("5/min")).await?;
    let one = first.version;
    assert!(one > 0);
    assert_eq!(first, Control::replaced(one, settings(&[("rate:search", "5/min")]).unwrap_or_default()));
    // No value is not the empty one.
    let lost = replace(backend, "rate:search", None, Some("6/min")).await?;
    assert_eq!(lost, Control::new(one, settings(&[("rate:search", "5/min")])));
    let lost = replace(backend, "rate:search", Some(""), Some("6/min")).await?;
    assert_eq!(lost, Control::new(one, settings(&[("rate:search", "5/min")])));
    let second = replace(backend, "block:=", None, Some("")).await?;
    let two = second.version;
    assert!(second.is_replaced && two > one);
    assert_eq!(read(backend, two).await?, Control::new(two, None));
    assert_eq!(read(backend, one).await?, Control::new(two, settings(&[("block:=", ""), ("rate:search", "5/min")])));
    let third = replace(backend, "block:=", Some(""), Some("=\r\n=ü")).await?;
    assert!(third.is_replaced && third.version > two);
    let fourth = replace(backend, "rate:search", Some("5/min"), None).await?;
    assert!(fourth.is_replaced && fourth.version > third.version);
    let all = settings(&[("block:=", "=\r\n=ü")]);
    assert_eq!(read(backend, third.version).await?, Control::new(fourth.version, all));
    let fifth = replace(backend, "block:=", Some("=\r\n=ü"), None).await?;
    assert!(fifth.is_replaced && fifth.version > fourth.version);
    // The version stays, so that every process learns of the removal.
    assert_eq!(read(backend, fourth.version).await?, Control::new(fifth.version, settings(&[])));
    assert!(backend.control(ControlRequest::Replace { name: "", expected: None, value: Some("1") }).await.is_err());
    Ok(())
}

#[tokio::test]
async fn settings_are_replaced_and_read_by_version() -> Result {
    let server = Server::start()?;
    whole_life(&builder(&server).connect().await?).await
}

#[tokio::test]
async fn settings_need_no_more_than_the_documented_user_may() -> Result {
    let server = Server::start_with(&known_user()?)?;
    let address = format!("redis://limits:secret@127.0.0.1:{}/0", server.port());
    let backend = RedisBackend::builder(address).namespace("test:redis").command_timeout(PLENTY).connect().await?;
    whole_life(&backend).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_on_a_cluster_are_those_of_one_server() -> Result {
    let cluster = Cluster::start()?;
    let backend = cluster.builder().connect().await?;
    whole_life(&backend).await?;
    replace(&backend, "a", None, Some("1")).await?;
    backend.clear().await?;
    assert_eq!(read(&backend, 0).await?.settings, settings(&[("a", "1")]));
    Ok(())
}

#[tokio::test]
async fn namespaces_have_settings_of_their_own_which_clear_keeps() -> Result {
    let server = Server::start()?;
    let named = |namespace: &str| builder(&server).namespace(namespace).connect();
    let (one, other) = (named("app").await?, named("app2").await?);
    let version = replace(&one, "a", None, Some("1")).await?.version;
    assert_eq!(read(&other, 0).await?, Control::new(0, None));
    let (key, strategy) = (Key::from("alice"), AnyStrategy::default());
    for backend in [&one, &other] {
        backend.decide(&[Hit::new(limit("limit", &strategy), &key, Rate::literal("5/30d"), 1)]).await?;
        backend.clear().await?;
    }
    assert_eq!(server.raw()?.keys()?, ["{app}|control"]);
    assert_eq!(read(&one, 0).await?, Control::new(version, settings(&[("a", "1")])));
    Ok(())
}

/// A process knows the settings that a server loses, as after a failover, before other settings are set.
#[tokio::test]
async fn version_of_lost_settings_is_not_used_again() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let known = replace(&backend, "rate:search", None, Some("5/min")).await?.version;
    server.raw()?.call(&["DEL", "{test:redis}|control"])?;
    let other = replace(&backend, "rate:search", None, Some("6/min")).await?;
    assert!(other.is_replaced && other.version > known);
    assert_eq!(read(&backend, known).await?, Control::new(other.version, settings(&[("rate:search", "6/min")])));
    Ok(())
}

/// A version ahead of the clock of the server still grows, by one.
#[tokio::test]
async fn version_grows_while_the_clock_of_the_server_is_behind() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let ahead = (1_u64 << 53) - 3;
    server.raw()?.call(&["HSET", "{test:redis}|control", "", &ahead.to_string()])?;
    assert_eq!(replace(&backend, "a", None, Some("1")).await?.version, ahead + 1);
    assert_eq!(read(&backend, ahead).await?, Control::new(ahead + 1, settings(&[("a", "1")])));
    Ok(())
}

/// Each of them reads a number and writes the next one, until it was the one to do so.
#[tokio::test]
async fn concurrent_replacements_lose_no_change() -> Result {
    let server = Server::start()?;
    let mut writers = JoinSet::new();
    for _ in 0..4 {
        let backend = builder(&server).connect().await?;
        writers.spawn(async move {
            let mut changed = 0;
            while changed < 25 {
                let known = read(&backend, u64::MAX).await?.settings.unwrap_or_default();
                let known = known.first().map(|(_, value)| value.clone());
                let next = known.as_deref().unwrap_or("0").parse::<u64>()? + 1;
                let answer = replace(&backend, "count", known.as_deref(), Some(&next.to_string())).await?;
                changed += u64::from(answer.is_replaced);
            }
            Result::Ok(())
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer??;
    }
    let backend = builder(&server).connect().await?;
    let read = read(&backend, 0).await?;
    assert_eq!(read.settings, settings(&[("count", "100")]));
    Ok(())
}
