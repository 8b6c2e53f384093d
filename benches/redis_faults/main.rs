//! The effect of Redis failures on callers. Real servers are killed, stopped, cut off, filled up and so on under steady
//! load. Prints a table in Markdown, and fails if a guarantee does not hold.
//!
//! ```text
//! cargo bench --package benches --bench redis_faults              # all faults, two minutes
//! cargo bench --package benches --bench redis_faults -- killed    # those with the word in their name
//! cargo bench --package benches --bench redis_faults -- http      # as clients of an app with failover see them
//! ```

mod calls;
#[path = "../../examples/production/decided_by.rs"]
#[allow(dead_code, reason = "the example shows more of it")]
mod decided_by;
mod faults;
mod http;
mod life;
#[path = "../../tests/redis/link.rs"]
#[allow(dead_code, reason = "tests need more of it")]
mod link;
mod load;
mod promises;
#[path = "../../tests/redis/raw.rs"]
#[allow(dead_code, reason = "tests need more of it")]
mod raw;
mod row;
#[path = "../../tests/redis/server.rs"]
#[allow(dead_code, reason = "tests need more of it")]
mod server;
mod site;
mod waits;

use std::{iter::repeat_n, process::ExitCode, time::Duration};

use tokio::time::sleep;
use traffik_redis::RedisStats;

use self::{
    faults::Fault,
    load::{CALLERS, Load},
    row::Row,
    site::Site,
};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The default, which the guarantees refer to.
const DEADLINE: Duration = traffik_redis::RedisBackendBuilder::DEFAULT_COMMAND_TIMEOUT;

/// The time without a fault at the beginning and at the end.
const BEFORE: Duration = Duration::from_secs(1);
const AFTERWARDS: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let (http, words): (Vec<_>, Vec<_>) = asked.iter().partition(|word| *word == "http");
    let over_http = !http.is_empty();
    let is_asked = |fault: &Fault| words.is_empty() || words.iter().any(|word| fault.name().contains(word.as_str()));
    // Without failover the callers cannot start while the server is away.
    let is_possible = |fault: &Fault| over_http || !fault.is_there_at_the_start();
    let mut broken = Vec::new();
    println!("{}", if over_http { http::HEAD } else { row::HEAD });
    for fault in Fault::ALL.into_iter().filter(|fault| is_asked(fault) && is_possible(fault)) {
        let (row, of_row) = if over_http {
            let row = http::undergo(fault).await?;
            (row.to_string(), http::broken(&row))
        } else {
            let row = undergo(fault).await?;
            (row.to_string(), promises::broken(&row))
        };
        println!("{row}");
        broken.extend(of_row.into_iter().map(|promise| format!("{}: {promise}", fault.name())));
    }
    for promise in &broken {
        eprintln!("{promise}");
    }
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs one fault, with load before and after it.
async fn undergo(fault: Fault) -> Result<Row> {
    let mut site = Site::new(fault.arguments()).await?;
    fault.prepare(&mut site)?;
    let backend = site.connect(fault.is_of_the_link()).await?;
    let before = backend.stats();
    let load = Load::begin(repeat_n(backend.clone(), CALLERS));
    sleep(BEFORE).await;
    let back = fault.happen(&mut site, &backend).await?;
    sleep(AFTERWARDS).await;
    let calls = load.end().await?;
    let executed = site.executed_calls().await?;
    let doubts = |stats: RedisStats| stats.late + stats.in_doubt;
    let counted = doubts(backend.stats()) - doubts(before);
    Ok(Row::new(fault, &calls, &site.began, executed, back, counted))
}
