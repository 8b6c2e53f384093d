//! Counts the commands that reached Redis.

use std::error::Error;

use super::Redis;

/// Resets the counts.
pub(super) async fn reset_counts(redis: &Redis) -> Result<(), Box<dyn Error>> {
    redis.ask("CONFIG RESETSTAT").await.map(drop)
}

/// Returns how often each command ran for the apps, including commands inside of programs.
pub(super) async fn counted(redis: &Redis) -> Result<Vec<(String, u64)>, Box<dyn Error>> {
    let stats = redis.ask("INFO commandstats").await?;
    let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
    let counts = lines.filter_map(|(name, rest)| Some((name.to_owned(), rest.split(',').next()?.parse().ok()?)));
    Ok(counts.filter(|(name, _)| !["quit", "config|resetstat"].contains(&name.as_str())).collect())
}
