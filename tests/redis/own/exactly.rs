//! Checks that many tasks, connections and processes never exceed a custom limit, also together with Lua programs.

use tests::limit;
use tokio::task::JoinSet;
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    decision::Hit,
    strategy::{AnyStrategy, FixedWindow},
};
use traffik_redis::RedisBackend;

use super::{CoolDown, Leases};
use crate::{Client, Result, builder, server::Server};

/// Returns how many calls of many concurrent tasks are admitted. All calls are answered.
async fn hammer(backends: &[RedisBackend], strategy: &AnyStrategy, tasks: usize, calls: u64) -> Result<u64> {
    let mut running = JoinSet::new();
    for backend in backends.iter().cycle().take(tasks) {
        let backend = backend.clone();
        let client = Client::new("everybody", strategy.clone(), "100/30d")?;
        running.spawn(async move {
            let mut admitted = 0;
            for _ in 0..calls {
                admitted += u64::from(client.decide(&backend, 1).await?.admitted);
            }
            Result::Ok(admitted)
        });
    }
    let mut admitted = 0;
    while let Some(done) = running.join_next().await {
        admitted += done??;
    }
    Ok(admitted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_tasks_on_several_connections_get_exactly_the_limit() -> Result {
    let server = Server::start()?;
    // Each connection has its own turns, so they behave like separate processes.
    let backends =
        [builder(&server).connect().await?, builder(&server).connect().await?, builder(&server).connect().await?];
    for strategy in [AnyStrategy::custom(CoolDown), AnyStrategy::custom(Leases)] {
        assert_eq!(hammer(&backends, &strategy, 16, 10).await?, 100, "{strategy:?}");
    }
    assert_eq!(server.raw()?.keys_without_end()?, Vec::<String>::new());
    Ok(())
}

/// One limit is charged by decisions in Lua, and by decisions in Rust in which it is combined with a custom strategy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limit_charged_by_lua_and_rust_is_exact() -> Result {
    let server = Server::start()?;
    let (one, other) = (builder(&server).connect().await?, builder(&server).connect().await?);
    let mut running = JoinSet::new();
    for task in 0..8 {
        let backend = if task % 2 == 0 { one.clone() } else { other.clone() };
        running.spawn(async move {
            let (key, window, own) =
                (Key::from("alice"), AnyStrategy::from(FixedWindow), AnyStrategy::custom(CoolDown));
            let hit = |uid, strategy, rate| Hit::new(limit(uid, strategy), &key, rate, 1);
            let limited = hit("limited", &window, Rate::literal("120/30d"));
            let wide = hit("wide", &own, Rate::literal("1000/30d"));
            let (mut alone, mut together) = (0, 0);
            for _ in 0..20 {
                if task < 4 {
                    alone += u64::from(backend.decide(&[limited]).await?.is_admitted());
                } else {
                    together += u64::from(backend.decide(&[wide, limited]).await?.is_admitted());
                }
            }
            Result::Ok((alone, together))
        });
    }
    let (mut alone, mut together) = (0, 0);
    while let Some(done) = running.join_next().await {
        let (more_alone, more_together) = done??;
        (alone, together) = (alone + more_alone, together + more_together);
    }
    assert_eq!(alone + together, 120);
    // The decisions refused by the full limit did not charge the other one.
    let (key, own) = (Key::from("alice"), AnyStrategy::custom(CoolDown));
    let hit = Hit::new(limit("wide", &own), &key, Rate::literal("1000/30d"), 0);
    let known = one.peek(&[hit]).await?.outcomes()[0].past.clone().ok_or("nothing stored")?;
    assert_eq!(known.state.words()[0], together);
    assert_eq!(server.raw()?.keys_without_end()?, Vec::<String>::new());
    Ok(())
}
