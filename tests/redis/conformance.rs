//! What is expected of any backend, asked of this one.

use traffik_conformance::Suite;
use traffik_redis::{RedisBackend, RedisBackendBuilder};

use crate::{PLENTY, Result, builder, cluster::Cluster, server::Server};

/// The suite, for backends on one store, which `builder` sets up.
pub(crate) fn suite(builder: RedisBackendBuilder) -> Suite {
    let make = move |namespace, clock| {
        let builder = builder.clone().namespace(namespace).secret(*b"a long random text");
        async move { builder.connect().await.map(|backend| backend.by_hand(clock)) }
    };
    Suite::new(make)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_server() -> Result {
    let server = Server::start()?;
    suite(builder(&server)).check().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster() -> Result {
    let cluster = Cluster::start()?;
    // In many namespaces, and so not as the user of one.
    suite(RedisBackend::builder(cluster.url()).command_timeout(PLENTY)).check().await?;
    Ok(())
}
