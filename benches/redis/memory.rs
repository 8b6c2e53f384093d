//! The server memory of a client.

use std::time::Duration;

use tokio::task::JoinSet;
use traffik::{
    Rate,
    client::Key,
    strategy::{AnyStrategy, SlidingWindowLog},
};
use traffik_redis::RedisBackend;

use crate::{LENGTHS, Result, connect, decide, raw::Raw, server::Server, strategies};

const CLIENTS: u64 = 100_000;

/// The number of concurrent calls.
const CONCURRENT_CALLS: u64 = 64;

pub(crate) async fn run() -> Result {
    println!("Bytes for a client: its value, what `MEMORY USAGE` says, and what all memory grows by:\n");
    println!("| strategy | value | usage | growth | clients |\n|---|---|---|---|---|");
    for (name, strategy) in strategies() {
        row(name, &strategy, 1, CLIENTS).await?;
    }
    for length in LENGTHS {
        let clients = (CLIENTS / length).max(10);
        row(&format!("SlidingWindowLog of {length}"), &SlidingWindowLog.into(), length, clients).await?;
    }
    println!();
    Ok(())
}

/// A row for this number of clients and charges, on a new server.
async fn row(name: &str, strategy: &AnyStrategy, charges: u64, clients: u64) -> Result {
    let server = Server::start()?;
    let (backend, mut raw) = (connect(&server).await?, server.raw()?);
    // The first charge allocates the memory for scripts and connections, before the clients are measured.
    charge(&backend, strategy, 0, 1).await?;
    let before = used(&mut raw)?;
    let mut running = JoinSet::new();
    for worker in 0..CONCURRENT_CALLS {
        let (backend, strategy) = (backend.clone(), strategy.clone());
        running.spawn(async move {
            for client in (1..=clients).skip(usize::try_from(worker)?).step_by(usize::try_from(CONCURRENT_CALLS)?) {
                charge(&backend, &strategy, client, charges).await?;
            }
            Result::Ok(())
        });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    let growth = used(&mut raw)?.saturating_sub(before) / clients;
    let key = raw.keys()?.into_iter().find(|key| key.contains("10.0.0.1}")).ok_or("no client")?;
    let [value, usage] = [raw.call(&["STRLEN", &key])?, raw.call(&["MEMORY", "USAGE", &key])?].map(|n| n.integer());
    let [value, usage] = [value.unwrap_or_default(), usage.unwrap_or_default()];
    println!("| {name} | {value} | {usage} | {growth} | {clients} |");
    Ok(())
}

/// Charges a client. Clients are addresses, the most common case.
async fn charge(backend: &RedisBackend, strategy: &AnyStrategy, client: u64, charges: u64) -> Result {
    let key = Key::from(std::net::Ipv4Addr::from_bits(0x0A00_0000 + u32::try_from(client)?));
    let rate = Rate::new(charges.max(100), Duration::from_secs(86_400))?;
    for _ in 0..charges {
        decide(backend, &key, strategy, rate, 1).await?;
    }
    Ok(())
}

fn used(raw: &mut Raw) -> Result<u64> {
    let memory = raw.call(&["INFO", "memory"])?.text();
    let line = memory.lines().find_map(|line| line.strip_prefix("used_memory:"));
    Ok(line.ok_or("no figure")?.trim().parse()?)
}
