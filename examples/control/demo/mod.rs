//! Starts a Redis server and two apps as processes, changes their limits while they run, and returns an error if a response
//! differs.

mod block;
mod file;
mod operator;
mod rate;

use std::{error::Error, fs};

use self::operator::Operator;
use crate::{
    app::{App, heading, introduce},
    expect::expect,
    interrupt::unless_interrupted,
    redis_server::{PLENTY, Redis},
    this_program::this_program,
};

/// Runs the demo, unless it is interrupted. It ends everything that it started.
pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    unless_interrupted(show()).await
}

async fn show() -> Result<(), Box<dyn Error>> {
    let mut redis = Redis::new()?;
    redis.start().await?;
    let limits = redis.folder().join("limits.toml");
    fs::write(&limits, "# Nothing is changed.\n")?;
    let path = limits.to_str().ok_or("the temporary folder has no text as its name")?;
    let url = redis.url();
    // The deadline is long enough for a busy machine.
    let args = [&*url, "--port", "0", "--timeout", "1000", "--limits", path];
    let apps = [start(&args).await?, start(&args).await?];
    introduce(&redis, &apps);

    let operator = Operator::new(&apps)?;
    rate::show(&operator).await?;
    block::show(&operator).await?;
    file::show(&operator, &limits).await?;

    // The apps would wait for open connections.
    drop(operator);
    for app in apps {
        app.stop().await?;
    }
    println!("\nBoth apps received a signal to stop, and ended. Everything was as expected.");
    Ok(())
}

async fn start(args: &[&str]) -> Result<App, Box<dyn Error>> {
    let mut program = this_program(args, TEST, ARGUMENTS)?;
    program.env("ADMIN_TOKEN", TOKEN);
    App::start(program).await
}

/// The test that is this program when the demo runs as a test, and the environment variable with its arguments.
const TEST: &str = "demo::tests::an_app";
const ARGUMENTS: &str = "TRAFFIK_EXAMPLE_CONTROL";

/// The token of the apps that the demo starts.
const TOKEN: &str = "the-token-of-the-demo";

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
