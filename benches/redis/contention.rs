//! A client about which many processes decide continuously, with a strategy without Lua code.

use std::time::Instant;

use tokio::task::JoinSet;
use traffik::{Rate, client::Key, strategy::AnyStrategy};

use crate::{Result, connect, decide, own::Own, server::Server};

const CALLS: u64 = 300;

pub(crate) async fn run() -> Result {
    println!("Decisions of 16 tasks or more about one client, at a strategy of one's own:\n");
    println!("| processes | decisions | given up | calls for each | µs for each |\n|---|---|---|---|---|");
    for backends in [1, 2, 4, 8, 16, 32] {
        row(backends).await?;
    }
    println!();
    Ok(())
}

/// A row for this number of backends. Each has its own connection, like a process.
async fn row(backends: usize) -> Result {
    let server = Server::start()?;
    let mut running = JoinSet::new();
    let mut all = Vec::new();
    for _ in 0..backends {
        all.push(connect(&server).await?);
    }
    let (tasks, started) = (backends.max(16), Instant::now());
    for backend in all.iter().cycle().take(tasks) {
        let backend = backend.clone();
        running.spawn(async move {
            let (key, strategy, rate) = (Key::from("everybody"), AnyStrategy::custom(Own), Rate::literal("100000/30d"));
            let mut given_up = 0;
            for _ in 0..CALLS {
                given_up += u64::from(decide(&backend, &key, &strategy, rate, 1).await.is_err());
            }
            given_up
        });
    }
    let mut given_up = 0;
    while let Some(done) = running.join_next().await {
        given_up += done?;
    }
    let (decisions, took) = (CALLS * u64::try_from(tasks)?, started.elapsed());
    let run = server.raw()?.commands_run()?;
    let calls = run.iter().find(|(name, _)| name == "evalsha").map_or(0, |&(_, calls)| calls);
    let (whole, hundredths) = (calls / decisions, calls % decisions * 100 / decisions);
    let micros = took.as_micros() / u128::from(decisions);
    println!("| {backends} | {decisions} | {given_up} | {whole}.{hundredths:02} | {micros} |");
    Ok(())
}
