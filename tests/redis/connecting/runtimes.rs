//! A backend that outlives the runtime in which it connected, as when several tests share it.

use tokio::runtime::{Builder, Runtime};
use traffik::strategy::FixedWindow;
use traffik_redis::RedisBackend;

use crate::{
    Client, PLENTY, Result,
    server::{Server, free_port},
};

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Makes a decision in each of several consecutive runtimes.
fn outlives(address: String) -> Result {
    let connect = RedisBackend::builder(address).namespace("test:redis").command_timeout(PLENTY).connect();
    let backend = runtime()?.block_on(connect)?;
    for _ in 0..3 {
        let admitted = runtime()?.block_on(async {
            let alice = Client::new("alice", FixedWindow, "3/30d")?;
            Result::Ok(alice.decide(&backend, 1).await?.admitted)
        })?;
        assert!(admitted);
    }
    Ok(())
}

#[test]
fn backend_of_a_server_outlives_its_runtime() -> Result {
    let server = Server::start()?;
    outlives(server.url())
}

#[test]
fn backend_of_a_cluster_outlives_its_runtime() -> Result {
    let bus = free_port()?.to_string();
    let server = Server::start_with(&["--cluster-enabled", "yes", "--cluster-port", &bus])?;
    server.serve_all_slots()?;
    outlives(server.url().replace("redis://", "redis-cluster://"))
}
