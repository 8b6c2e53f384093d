use tests::{limit, refunds};
use tokio::task::JoinSet;
use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    decision::{Charge, Hit},
    strategy::{AnyStrategy, FixedWindow, Gcra, TokenBucket},
};
use traffik_redis::RedisBackend;

use super::{Cluster, charge, client, key};
use crate::{Client, Result, builder};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_on_a_cluster_all_work() -> Result {
    let cluster = Cluster::start()?;
    let backend = cluster.builder().connect().await?;
    alone(&cluster).await?;
    spread(&cluster, &backend).await?;
    stacked(&backend).await?;
    exact(&cluster, &backend).await?;
    apart(&backend).await?;

    backend.clear().await?;
    assert_eq!(all_keys(&cluster)?, Vec::<String>::new());
    cluster.node(0)?.raw()?.call(&["SCRIPT", "FLUSH"])?;
    spread(&cluster, &backend).await?;
    backend.close().await?;
    assert!(client(1)?.decide(&backend, 1).await.is_err());
    Ok(())
}

/// Checks that a single node of a cluster is rejected as a plain server.
async fn alone(cluster: &Cluster) -> Result {
    let mut refused = 0;
    for primary in cluster.primaries() {
        if let Err(error) = builder(primary).connect().await {
            assert!(error.to_string().contains("redis-cluster://"), "{error}");
            refused += 1;
        }
    }
    // One node owns the slots of the keys that are tried while connecting, and is accepted.
    assert!(refused >= 2);
    Ok(())
}

fn all_keys(cluster: &Cluster) -> Result<Vec<String>> {
    let keys = cluster.primaries().map(|primary| primary.raw()?.keys()).collect::<Result<Vec<_>>>()?;
    Ok(keys.concat())
}

async fn spread(cluster: &Cluster, backend: &RedisBackend) -> Result {
    for number in 0..60 {
        assert_eq!(charge(backend, number).await?, 1);
    }
    for primary in cluster.primaries() {
        assert!(primary.raw()?.keys()?.len() > 5);
    }
    assert!(all_keys(cluster)?.contains(&key(59)));
    Ok(())
}

/// Several limits of one client are one decision.
async fn stacked(backend: &RedisBackend) -> Result {
    for name in ["alice", "bob", "carol"] {
        let key = Key::from(name);
        let strategies: [AnyStrategy; 3] = [FixedWindow.into(), TokenBucket::new().into(), Gcra::new().burst(3).into()];
        let hits: Vec<_> = ["a", "b", "c"]
            .iter()
            .zip(&strategies)
            .map(|(uid, strategy)| Hit::new(limit(uid, strategy), &key, Rate::literal("3/30d"), 1))
            .collect();
        let charged = backend.decide(&hits).await?;
        assert!(charged.is_admitted());
        let charges: Vec<_> =
            hits.iter().zip(charged.outcomes()).map(|(hit, outcome)| Charge::new(*hit, outcome.at)).collect();
        backend.adjust(&refunds(&charges)).await?;
        for _ in 0..3 {
            assert!(backend.decide(&hits).await?.is_admitted());
        }
        assert!(!backend.decide(&hits).await?.is_admitted());
        backend.reset(&hits).await?;
        assert!(backend.decide(&hits).await?.is_admitted());
    }
    Ok(())
}

/// Several concurrent connections never exceed the limit.
async fn exact(cluster: &Cluster, one: &RedisBackend) -> Result {
    let other = cluster.builder().connect().await?;
    let mut tasks = JoinSet::new();
    for task in 0..16 {
        let backend = if task % 2 == 0 { one.clone() } else { other.clone() };
        tasks.spawn(async move {
            let mut admitted = [0; 3];
            for (name, admitted) in ["dave", "erin", "frank"].into_iter().zip(&mut admitted) {
                let client = Client::new(name, FixedWindow, "100/30d")?;
                for _ in 0..20 {
                    *admitted += u64::from(client.decide(&backend, 1).await?.admitted);
                }
            }
            Result::Ok(admitted)
        });
    }
    let mut sums = [0; 3];
    while let Some(admitted) = tasks.join_next().await {
        for (sum, admitted) in sums.iter_mut().zip(admitted??) {
            *sum += admitted;
        }
    }
    assert_eq!(sums, [100; 3]);
    Ok(())
}

/// A decision about several clients on any servers: their charges are refunded if the last one refuses.
async fn apart(backend: &RedisBackend) -> Result {
    let clients = ["dave", "erin", "frank"].map(|name| Client::new(name, FixedWindow, "100/30d"));
    let clients = clients.into_iter().collect::<Result<Vec<_>>>()?;
    let hits: Vec<_> = clients.iter().map(|client| client.hit(1)).collect();
    backend.reset(&hits).await?;
    assert!(backend.decide(&hits).await?.is_admitted());
    for client in &clients {
        assert!(client.decide(backend, 99).await?.admitted);
        assert!(!backend.decide(&hits).await?.is_admitted());
        backend.reset(&[client.hit(1)]).await?;
        assert!(client.decide(backend, 1).await?.admitted);
    }
    // Each client has 99 left, whichever client refused.
    for client in &clients {
        assert!(client.decide(backend, 99).await?.admitted);
        assert!(!client.decide(backend, 1).await?.admitted);
    }
    Ok(())
}
