//! Two apps on one Redis, all of them processes of the demo's own, asked over TCP: what they answer, and an error where it is
//! not what it should be.

mod apps;
mod at_once;
mod blocked;
mod commands;
mod one_limit;
mod outage;
mod visitor;

use std::{error::Error, fmt::Debug, time::Duration};

use self::{apps::App, visitor::Visitor};
use crate::redis_server::{PLENTY, Redis};

/// The `command_timeout` of the apps: enough for a machine that has other things to do, since nothing here may take too long
/// by chance.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);

/// Shows it all, unless it is interrupted. Nothing that it started is left behind, however it ends.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    tokio::select! {
        biased;
        // Listened for before there is anything to be left behind.
        () = super::shutdown_signal() => Err("interrupted".into()),
        shown = show() => shown,
    }
}

async fn show() -> Result<(), Box<dyn Error>> {
    let mut redis = Redis::new()?;
    redis.start().await?;
    let apps = [App::start(&redis).await?, App::start(&redis).await?];
    println!("A Redis of the demo's own is at {}, and two apps keep their limits there:\n", redis.url());
    for (number, app) in (1..).zip(&apps) {
        println!("  app {number}  {}  process {}", app.url, app.process);
    }

    let visitor = Visitor::new(&apps)?;
    one_limit::show(&visitor).await?;
    at_once::show(&visitor).await?;
    blocked::show(&visitor, &redis).await?;
    outage::show(&visitor, &mut redis).await?;

    // A connection that is still open would be waited for.
    drop(visitor);
    for app in apps {
        app.stop().await?;
    }
    println!(
        "\nBoth apps were asked to stop, closed their connections to Redis, and are gone. All of it was as promised."
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
    async fn what_comes_back_is_what_should() {
        super::run().await.unwrap();
    }
}
