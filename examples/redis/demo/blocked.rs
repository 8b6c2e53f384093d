//! A client that is over its limit does not stop.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use super::{Redis, Visitor, commands, expect, expect_at_most, heading};

const FOR: Duration = Duration::from_secs(2);

pub(super) async fn show(visitor: &Visitor, redis: &Redis) -> Result<(), Box<dyn Error>> {
    heading("Over the limit: the client continues at both apps for 2 seconds, as fast as they answer");
    commands::reset_counts(redis).await?;
    let began = Instant::now();
    let (by_one, by_other) = tokio::try_join!(hammer(visitor, 1), hammer(visitor, 2))?;
    let (took, commands) = (began.elapsed(), commands::counted(redis).await?);

    let programs = commands.iter().filter(|(name, _)| name.starts_with("eval")).map(|(_, calls)| calls).sum::<u64>();
    let each: Vec<_> = commands.iter().map(|(name, calls)| format!("{name} {calls}")).collect();
    println!("  {:>5} requests, refused by app 1 {by_one} times and by app 2 {by_other} times", by_one + by_other);
    println!("  {programs:>5} programs ran in Redis, whose commands were: {}\n", each.join(", "));
    println!(
        "Each process repeats a refusal of Redis for up to a second, without asking again, and reads once a second"
    );
    println!("whether limits were changed.");
    // Each of the two processes asks about the client and about changes.
    expect_at_most("programs that ran in Redis", &programs, &(4 * (took.as_secs() + 1)))
}

/// Sends requests without a pause, all of which must be refused, and returns their number.
async fn hammer(visitor: &Visitor, app: usize) -> Result<u64, Box<dyn Error>> {
    let (began, mut refused) = (Instant::now(), 0);
    while began.elapsed() < FOR {
        let answer = visitor.ask(app, "/data").await?;
        expect("a client over its limit", &answer.status, &429)?;
        refused += 1;
    }
    Ok(refused)
}
