//! The server time of a decision, the server memory of a client, the throughput when many processes decide about one client,
//! and what changes of limits cost. Prints tables in Markdown.
//!
//! ```text
//! cargo bench --package benches --bench redis              # all of it, on servers of its own
//! cargo bench --package benches --bench redis -- effort    # or one of: effort, memory, contention, control
//! ```

mod contention;
mod control;
mod effort;
mod memory;
mod own;
#[path = "../../tests/redis/raw.rs"]
#[allow(dead_code, reason = "tests need more of it")]
mod raw;
#[path = "../../tests/redis/server.rs"]
#[allow(dead_code, reason = "tests need more of it")]
mod server;
#[path = "../redis_load/usage.rs"]
mod usage;

use std::time::Duration;

use traffik::{
    Rate,
    backend::Backend,
    client::Key,
    decision::{Hit, LimitId},
    strategy::{AnyStrategy, FixedWindow, Gcra, SlidingWindowCounter, SlidingWindowLog, TokenBucket},
};
use traffik_redis::RedisBackend;

use self::{own::Own, server::Server};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result {
    let asked: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let is_asked = |part: &str| asked.is_empty() || asked.iter().any(|arg| arg == part);
    if is_asked("effort") {
        effort::run().await?;
    }
    if is_asked("memory") {
        memory::run().await?;
    }
    if is_asked("contention") {
        contention::run().await?;
    }
    if is_asked("control") {
        control::run().await?;
    }
    Ok(())
}

async fn connect(server: &Server) -> Result<RedisBackend> {
    let builder = RedisBackend::builder(server.url()).namespace("bench").command_timeout(Duration::from_secs(60));
    // Remembered refusals are disabled, so that every decision reaches Redis.
    Ok(builder.refusal_max_age(Duration::ZERO).connect().await?)
}

/// The strategies whose state has a fixed size.
fn strategies() -> [(&'static str, AnyStrategy); 5] {
    [
        ("FixedWindow", FixedWindow.into()),
        ("SlidingWindowCounter", SlidingWindowCounter.into()),
        ("TokenBucket", TokenBucket::new().into()),
        ("Gcra", Gcra::new().burst(100).into()),
        ("one of one's own", AnyStrategy::custom(Own)),
    ]
}

/// The numbers of charges in a log, up to the maximum.
const LENGTHS: [u64; 6] = [1, 10, 100, 1000, 10_000, SlidingWindowLog::MAX_LIMIT];

/// Decides about one client's hit. Returns whether it was admitted.
async fn decide(backend: &RedisBackend, key: &Key, strategy: &AnyStrategy, rate: Rate, cost: u64) -> Result<bool> {
    Ok(backend.decide(&[Hit::new(&LimitId::new("limit", strategy.clone()), key, rate, cost)]).await?.is_admitted())
}
