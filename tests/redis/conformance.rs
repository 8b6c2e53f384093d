//! Runs the conformance suite on this backend.

use traffik_conformance::Suite;
use traffik_redis::{RedisBackend, RedisBackendBuilder};

use crate::{PLENTY, Result, builder, cluster::Cluster, server::Server};

/// Returns the suite for backends on one store, which `builder` configures.
pub(crate) fn suite(builder: RedisBackendBuilder) -> Suite {
    let make = move |namespace, clock| {
        let builder = builder.clone().namespace(namespace).secret(*b"a long random text");
        async move { builder.connect().await.map(|backend| backend.by_hand(clock)) }
    };
    Suite::new(make)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backend_on_one_server_passes_the_suite() -> Result {
    let server = Server::start()?;
    suite(builder(&server)).check().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backend_on_a_cluster_passes_the_suite() -> Result {
    let cluster = Cluster::start()?;
    // The suite uses many namespaces, so the user must not be limited to one.
    suite(RedisBackend::builder(cluster.url()).command_timeout(PLENTY)).check().await?;
    Ok(())
}
