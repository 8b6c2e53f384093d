//! Starts a Redis server and two apps as processes, sends requests to the apps over TCP, prints the responses, and returns an
//! error if one differs.

mod apps;
mod blocked;
mod commands;
mod concurrent;
mod one_limit;
mod outage;
mod visitor;

use std::{error::Error, fmt::Debug, time::Duration};

use self::{apps::App, visitor::Visitor};
use crate::redis_server::{PLENTY, Redis};

/// The `command_timeout` of the apps. It is long enough for a busy machine, so no call times out by chance.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the demo, unless it is interrupted. It ends everything that it started.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    tokio::select! {
        biased;
        // Polled first, so an interrupt is noticed before anything is started.
        () = super::shutdown_signal() => Err("interrupted".into()),
        shown = show() => shown,
    }
}

async fn show() -> Result<(), Box<dyn Error>> {
    let mut redis = Redis::new()?;
    redis.start().await?;
    let apps = [App::start(&redis).await?, App::start(&redis).await?];
    println!("A Redis server runs at {}, and two apps keep their limits there:\n", redis.url());
    for (number, app) in (1..).zip(&apps) {
        println!("  app {number}  {}  process {}", app.url, app.process);
    }

    let visitor = Visitor::new(&apps)?;
    one_limit::show(&visitor).await?;
    concurrent::show(&visitor).await?;
    blocked::show(&visitor, &redis).await?;
    outage::show(&visitor, &mut redis).await?;

    // The apps would wait for open connections.
    drop(visitor);
    for app in apps {
        app.stop().await?;
    }
    println!(
        "\nBoth apps received a signal to stop, closed their connections to Redis, and ended. Everything was as expected."
    );
    Ok(())
}

fn heading(text: &str) {
    println!("\n{text}\n{}\n", "-".repeat(text.len()));
}

fn expect<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Result<(), Box<dyn Error>> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}").into()) }
}

fn expect_at_most<T: PartialOrd + Debug>(what: &str, found: &T, most: &T) -> Result<(), Box<dyn Error>> {
    if found <= most { Ok(()) } else { Err(format!("{what}: {found:?}, which is over {most:?}").into()) }
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn demo_of_the_program_succeeds() {
        super::run().await.unwrap();
    }
}
