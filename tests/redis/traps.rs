//! Known mistakes of other rate limiters that need a server to show.

use tests::{each_strategy, limit};
use tokio::task::JoinSet;
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    decision::{Charge, Hit},
    strategy::FixedWindow,
};

use super::{Client, Result, builder, server::Server};

/// Two readings of the clock in one program may differ.
#[tokio::test]
async fn time_of_the_server_is_read_once_per_call() -> Result {
    let server = Server::start()?;
    let backend = builder(&server).connect().await?;
    let (key, strategies, rate) = (Key::from("alice"), each_strategy(5), Rate::literal("5/30d"));
    let hits: Vec<_> = strategies.iter().map(|strategy| Hit::new(limit("limit", strategy), &key, rate, 1)).collect();
    let mut raw = server.raw()?;
    for call in ["decide", "peek", "renew", "adjust"] {
        // The server knows the programs afterwards.
        for is_first in [true, false] {
            let decided = backend.decide(&hits).await?;
            let charges: Vec<_> =
                hits.iter().zip(decided.outcomes()).map(|(hit, outcome)| Charge::new(*hit, outcome.at)).collect();
            raw.call(&["CONFIG", "RESETSTAT"])?;
            match call {
                "decide" => drop(backend.decide(&hits).await?),
                "peek" => drop(backend.peek(&hits).await?),
                "renew" => drop(backend.renew(&charges).await?),
                _ => drop(backend.adjust(&charges.iter().map(|charge| charge.settle(2)).collect::<Vec<_>>()).await?),
            }
            let run = raw.commands_run()?;
            let read = run.iter().find(|(name, _)| name == "time").map(|(_, times)| *times);
            assert!(is_first || read == Some(1), "{call}: {run:?}");
            backend.clear().await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_decisions_share_the_connection() -> Result {
    let server = Server::start()?;
    let mut raw = server.raw()?;
    let backend = builder(&server).connect().await?;
    let mut accepted = || -> Result<u64> {
        let stats = raw.call(&["INFO", "stats"])?.text();
        let accepted = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        Ok(accepted.ok_or("no count")?.parse()?)
    };
    let before = accepted()?;
    let mut decisions = JoinSet::new();
    for _ in 0..1000 {
        let backend = backend.clone();
        decisions.spawn(async move {
            Client::new("alice", FixedWindow, "10000/30d")?.decide(&backend, 1).await.map_err(Into::into)
        });
    }
    while let Some(decided) = decisions.join_next().await {
        let decided: Result<_> = decided?;
        assert!(decided?.admitted);
    }
    assert_eq!(accepted()?, before);
    Ok(())
}
