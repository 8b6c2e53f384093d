//! Starts a Redis server and two apps as processes, sends requests to the apps over TCP, prints the responses, and returns an
//! error if one differs.

mod blocked;
mod commands;
mod concurrent;
mod one_limit;
mod outage;
mod visitor;

use std::{error::Error, fmt::Debug, time::Duration};

use self::visitor::Visitor;
use crate::{
    app::{App, heading, introduce},
    expect::expect,
    interrupt::unless_interrupted,
    redis_server::{PLENTY, Redis},
    this_program::this_program,
};

/// The `command_timeout` of the apps. It is long enough for a busy machine, so no call times out by chance.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the demo, unless it is interrupted. It ends everything that it started.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    unless_interrupted(show()).await
}

async fn show() -> Result<(), Box<dyn Error>> {
    let mut redis = Redis::new()?;
    redis.start().await?;
    let apps = [start(&redis).await?, start(&redis).await?];
    introduce(&redis, &apps);

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

/// Starts an app on a free port.
async fn start(redis: &Redis) -> Result<App, Box<dyn Error>> {
    let command_timeout = COMMAND_TIMEOUT.as_millis().to_string();
    App::start(this_program(&[&redis.url(), "--port", "0", "--timeout", &command_timeout], TEST, ARGUMENTS)?).await
}

/// The test that is this program when the demo runs as a test, and the environment variable with its arguments.
const TEST: &str = "demo::tests::an_app";
const ARGUMENTS: &str = "TRAFFIK_EXAMPLE_REDIS";

fn expect_at_most<T: PartialOrd + Debug>(what: &str, found: &T, most: &T) -> Result<(), Box<dyn Error>> {
    if found <= most { Ok(()) } else { Err(format!("{what}: {found:?}, which is over {most:?}").into()) }
}

#[cfg(test)]
mod tests {
    /// Serves in a process that the demo started. In any other process it does nothing.
    #[tokio::test(flavor = "multi_thread")]
    async fn an_app() {
        if let Ok(arguments) = std::env::var(super::ARGUMENTS) {
            let options = crate::Options::read(arguments.split(' ').map(str::to_owned)).unwrap();
            crate::run(options).await.unwrap();
        }
    }

    #[tokio::test]
    async fn demo_of_the_program_succeeds() {
        super::run().await.unwrap();
    }
}
