//! Which commands reached Redis.

use std::error::Error;

use super::Redis;

/// Begins to count commands anew.
pub(super) async fn count_anew(redis: &Redis) -> Result<(), Box<dyn Error>> {
    redis.ask("CONFIG RESETSTAT").await.map(drop)
}

/// How often each command ran for the apps: those that a program runs inside of the server too.
pub(super) async fn counted(redis: &Redis) -> Result<Vec<(String, u64)>, Box<dyn Error>> {
    let stats = redis.ask("INFO commandstats").await?;
    let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
    let counts = lines.filter_map(|(name, rest)| Some((name.to_owned(), rest.split(',').next()?.parse().ok()?)));
    Ok(counts.filter(|(name, _)| !["quit", "config|resetstat"].contains(&name.as_str())).collect())
}
