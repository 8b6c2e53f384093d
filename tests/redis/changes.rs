//! Changes of limits that all processes on one Redis share.

use std::time::{Duration, Instant};

use tests::{admits, refused, until};
use tokio::{runtime::Runtime, task::JoinSet};
use traffik::{DefaultIdentity, Rate, Settings, Throttle, Traffik, control::Source};
use traffik_redis::RedisBackend;

use crate::{PLENTY, Result, builder, cluster::Cluster, permissions::known_user, server::Server};

throttles! {
    Search: "changes:search", "3/hour", Settings::new();
    // A client that is refused twice is refused for a minute.
    Login: "changes:login", "1/hour", Settings::new().penalty(2, MINUTE);
}

const FIVE: Rate = Rate::literal("5/hour");
const MINUTE: Duration = Duration::from_secs(60);

/// The time within which every process applies a change, and what a busy machine adds.
const SOON: Duration = Duration::from_secs(2);

fn app(backend: RedisBackend) -> Result<Traffik> {
    Ok(Traffik::builder(backend).backend_timeout(PLENTY).register::<Search>().build()?)
}

fn rate(traffik: &Traffik) -> Option<Rate> {
    Some(traffik.limit(Search::UID).ok()?.info().ok()?.rate().value())
}

/// Changes a limit and blocks a client in one app, and sees it in another one and in one that starts later.
async fn seen_by_all(connect: impl AsyncFn() -> Result<RedisBackend>) -> Result {
    let (here, there) = (app(connect().await?)?, app(connect().await?)?);
    assert!(admits::<Search>(&there, "alice").await?);
    let shared = here.shared().limit(Search::UID)?;
    shared.set_rate(FIVE).await?;
    shared.block("mallory", MINUTE, "scrapes").await?;
    let changed = Instant::now();
    until("the other app applies it", async || {
        rate(&there) == Some(FIVE) && there.limit(Search::UID).is_ok_and(|limit| limit.clients().len() == 1)
    })
    .await;
    assert!(changed.elapsed() < SOON + PLENTY, "{:?}", changed.elapsed());
    assert_eq!(there.limiter::<Search>("alice").check().await?.tightest().remaining(), 3);
    let refusal = refused(there.limiter::<Search>("mallory").check().await);
    assert!(refusal.retry_after().is_some_and(|wait| wait <= MINUTE && wait > MINUTE - PLENTY));

    let later = app(connect().await?)?;
    until("the later app applies it", async || rate(&later) == Some(FIVE)).await;
    assert!(!admits::<Search>(&later, "mallory").await?);

    later.shared().limit(Search::UID)?.unblock("mallory").await?;
    later.shared().limit(Search::UID)?.clear().await?;
    until("it is removed", async || rate(&there) == Some(Search::RATE)).await;
    assert!(admits::<Search>(&there, "mallory").await?);
    Ok(())
}

#[tokio::test]
async fn change_in_one_app_holds_in_another_and_in_one_that_starts_later() -> Result {
    let server = Server::start()?;
    seen_by_all(async || Ok(builder(&server).connect().await?)).await
}

#[test]
fn app_that_is_built_outside_a_runtime_reads_changes() -> Result {
    let (server, runtime) = (Server::start()?, Runtime::new()?);
    let connected = || runtime.block_on(builder(&server).connect());
    let there = app(connected()?)?;
    let here = app(connected()?)?;
    runtime.block_on(async {
        here.shared().limit(Search::UID)?.set_rate(FIVE).await?;
        assert!(admits::<Search>(&there, "alice").await?);
        until("the other app applies it", async || rate(&there) == Some(FIVE)).await;
        Ok(())
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn change_holds_on_a_cluster() -> Result {
    let cluster = Cluster::start()?;
    seen_by_all(async || Ok(cluster.builder().connect().await?)).await
}

#[tokio::test]
async fn change_needs_no_more_than_the_documented_user_may() -> Result {
    let server = Server::start_with(&known_user()?)?;
    let address = format!("redis://limits:secret@127.0.0.1:{}/0", server.port());
    seen_by_all(async || {
        Ok(RedisBackend::builder(&address).namespace("test:redis").command_timeout(PLENTY).connect().await?)
    })
    .await
}

#[tokio::test]
async fn concurrent_changes_of_several_apps_are_all_kept() -> Result {
    let server = Server::start()?;
    let mut changes = JoinSet::new();
    for app_number in 0..4_u64 {
        let traffik = app(builder(&server).connect().await?)?;
        changes.spawn(async move {
            let shared = traffik.shared().limit(Search::UID)?;
            for client in 0..10 {
                shared.exempt(app_number * 10 + client, MINUTE).await?;
            }
            // All change the same setting, and the last one holds.
            shared.set_cost(app_number + 1).await?;
            Result::Ok(traffik)
        });
    }
    let apps = changes.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    let mut costs = Vec::new();
    for traffik in &apps {
        traffik.shared().refresh().await?;
        let limit = traffik.limit(Search::UID)?;
        assert_eq!(limit.clients().len(), 40);
        let info = limit.info()?;
        assert_eq!(info.cost().source(), Source::Shared);
        costs.push(info.cost().value());
    }
    assert!(costs.iter().all(|cost| *cost == costs[0] && (1..=4).contains(cost)), "{costs:?}");
    Ok(())
}

#[tokio::test]
async fn penalty_of_one_app_holds_in_another_until_it_is_reset() -> Result {
    let server = Server::start()?;
    let (here, there) = (app(builder(&server).connect().await?)?, app(builder(&server).connect().await?)?);
    there.register::<Login>()?;
    let penalties = |traffik: &Traffik| traffik.limit(Login::UID).map_or(0, |limit| limit.clients().len());
    let _ = here.limiter::<Login>("mallory").check().await?;
    for _ in 0..2 {
        assert!(!refused(here.limiter::<Login>("mallory").check().await).tightest().is_blocked());
    }
    assert!(refused(here.limiter::<Login>("mallory").check().await).tightest().is_blocked());
    until("the other app applies it", async || penalties(&there) == 1).await;
    assert!(refused(there.limiter::<Login>("mallory").check().await).tightest().is_blocked());
    let is_shared = |traffik: &Traffik| {
        let clients = traffik.limit(Login::UID).map(|limit| limit.clients()).unwrap_or_default();
        matches!(&clients[..], [client] if client.source() == Source::Shared)
    };
    until("the first app has read it", async || is_shared(&here)).await;
    there.reset::<Login>("mallory").await?;
    assert!(admits::<Login>(&there, "mallory").await?);
    until("the first app has read that", async || penalties(&here) == 0).await;
    assert!(!refused(here.limiter::<Login>("mallory").check().await).tightest().is_blocked());
    Ok(())
}

#[tokio::test]
async fn raised_rate_holds_for_a_client_whose_refusal_is_remembered() -> Result {
    let server = Server::start()?;
    let traffik = app(builder(&server).connect().await?)?;
    let _ = traffik.limiter::<Search>("alice").cost(3).check().await?;
    for _ in 0..3 {
        assert!(!admits::<Search>(&traffik, "alice").await?);
    }
    traffik.limit(Search::UID)?.set_rate(FIVE)?;
    assert!(admits::<Search>(&traffik, "alice").await?);
    Ok(())
}

#[tokio::test]
async fn limits_stay_as_they_are_while_redis_is_away_and_change_when_it_is_back() -> Result {
    let mut server = Server::start()?;
    let traffik = app(builder(&server).connect().await?)?;
    traffik.shared().limit(Search::UID)?.set_rate(FIVE).await?;
    server.kill()?;
    assert!(traffik.shared().refresh().await.is_err());
    assert_eq!(rate(&traffik), Some(FIVE));
    // It comes back without its data.
    server.start_again()?;
    until("the change is gone", async || rate(&traffik) == Some(Search::RATE)).await;
    Ok(())
}
